// SPDX-License-Identifier: Apache-2.0
//! Clauses 2.8 and 2.9: topology and quantisation units.

use crate::bits::Bits;
use crate::fault::{Class, Fault, Stage};
use crate::inflate::{inflate, InflateError};
use crate::limits;
use crate::names::topology_elements_ids_list;

const NNR_TPL_PRUN: u8 = 5;
const NNR_TPL_REFLIST: u8 = 6;

/// Storage and compression format of a topology or quantisation unit.
#[derive(Clone, Copy)]
pub struct Formats {
    storage: u8,
    deflated: bool,
}

fn compression_format(b: &mut Bits, element: &'static str) -> Result<bool, Fault> {
    let bit = b.offset();
    match b.u(element, 8)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Fault::header(bit, "2.8 reserved compression format")),
    }
}

/// `nnr_topology_unit_header()`.
pub fn topology_header(b: &mut Bits) -> Result<Formats, Fault> {
    let bit = b.offset();
    let storage = b.u("topology_storage_format", 8)? as u8;
    if storage > NNR_TPL_REFLIST {
        return Err(Fault::header(bit, "2.8 reserved storage format"));
    }
    let deflated = compression_format(b, "topology_compression_format")?;
    Ok(Formats { storage, deflated })
}

/// `nnr_quantization_unit_header()`.
pub fn quantization_header(b: &mut Bits) -> Result<Formats, Fault> {
    let storage = b.u("quantization_storage_format", 8)? as u8;
    let deflated = compression_format(b, "quantization_compression_format")?;
    Ok(Formats { storage, deflated })
}

/// Payload of a topology unit.
#[derive(Default)]
pub struct Topology {
    /// `topology_data` or the pruning container; empty for a reference list.
    pub data: Vec<u8>,
    pub reference_list: Option<Vec<String>>,
}

/// `nnr_topology_unit_payload()`.
pub fn topology_payload(b: &mut Bits, formats: Formats) -> Result<Topology, Fault> {
    let mut topology = Topology::default();
    match formats.storage {
        NNR_TPL_PRUN => topology.data = b.bs("nnr_pruning_topology_container").to_vec(),
        NNR_TPL_REFLIST => {
            topology.reference_list = Some(topology_elements_ids_list(b)?);
            b.end()?;
        }
        _ if formats.deflated => topology.data = inflated(b, "topology_data")?,
        _ => {
            let data = b.bs("topology_data");
            topology.data = data.strip_suffix(&[0]).unwrap_or(data).to_vec();
        }
    }
    Ok(topology)
}

/// `nnr_quantization_unit_payload()`.
pub fn quantization_payload(b: &mut Bits, formats: Formats) -> Result<(), Fault> {
    if formats.deflated {
        return inflated(b, "quantization_data").map(|_| ());
    }
    let _quantization_data = b.st("quantization_data")?;
    b.end()
}

/// Inflate the payload; one zero byte may follow the deflate stream.
fn inflated(b: &mut Bits, element: &'static str) -> Result<Vec<u8>, Fault> {
    let bit = b.offset();
    let data = b.bs(element);
    let (class, text) = match inflate(data, limits::INFLATED_BYTES) {
        Ok((inflated, size)) if matches!(&data[size..], [] | [0]) => return Ok(inflated),
        Ok(_) => (Class::Malformed, "2.8 bytes behind the deflate stream"),
        Err(InflateError::Truncated) => (Class::Truncated, "2.8 deflate stream without end"),
        Err(InflateError::Malformed) => (Class::Malformed, "2.8 no deflate stream"),
        Err(InflateError::Limit) => (Class::Limit, "7.3 bytes of inflated data"),
    };
    Err(Fault::new(class, Stage::Header, bit, text))
}
