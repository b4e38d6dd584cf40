// SPDX-License-Identifier: Apache-2.0
//! Clause 3.2.1: names of tensors.

use crate::bits::Bits;
use crate::fault::Fault;
use crate::limits;

/// `count_topology_elements_minus2`, as the number of names.
fn count_topology_elements(b: &mut Bits) -> Result<u64, Fault> {
    let bit = b.offset();
    let count = b.ue("count_topology_elements_minus2", 7)? + 2;
    if count > limits::NAMES {
        return Err(Fault::limit(bit, "7.3 names in a list"));
    }
    Ok(count)
}

/// `topology_elements_ids_list(0)`.
pub fn topology_elements_ids_list(b: &mut Bits) -> Result<Vec<String>, Fault> {
    let count = count_topology_elements(b)?;
    b.byte_alignment()?;
    (0..count).map(|_| b.st("topology_elem_id_list")).collect()
}

/// `topology_elements_ids_list(1)`, with the latest reference list.
pub fn topology_elements_index_list(
    b: &mut Bits,
    references: &[String],
) -> Result<Vec<String>, Fault> {
    let count = count_topology_elements(b)?;
    let names = (0..count)
        .map(|_| indexed_name(b, "topology_elem_id_index_list", references))
        .collect::<Result<_, _>>()?;
    b.byte_alignment()?;
    Ok(names)
}

/// Name by an `ue(7)` index into the latest reference list, which is empty when there is none.
pub fn indexed_name(
    b: &mut Bits,
    element: &'static str,
    references: &[String],
) -> Result<String, Fault> {
    let bit = b.offset();
    let index = b.ue(element, 7)? as usize;
    let name = references.get(index).cloned();
    name.ok_or_else(|| Fault::header(bit, "3.2.1 index beyond the reference list"))
}
