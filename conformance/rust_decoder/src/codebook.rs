// SPDX-License-Identifier: Apache-2.0
//! Clause 3.2.3: codebooks.

use crate::bits::Bits;
use crate::fault::Fault;
use crate::limits;

/// A codebook: strictly increasing integers that levels index.
pub struct Codebook {
    entries: Vec<i64>,
    /// `CbZeroOffset`, the index of the entry of level 0.
    zero_offset: usize,
    /// Position of `codebook_zero_value`.
    zero_value_bit: u64,
}

impl Codebook {
    /// `codebook()`.
    pub fn parse(b: &mut Bits) -> Result<Self, Fault> {
        let codebook_egk = b.u("codebook_egk", 4)? as u32;
        let size_bit = b.offset();
        let codebook_size = b.ue("codebook_size", 2)?;
        if codebook_size > limits::CODEBOOK_ENTRIES {
            return Err(Fault::limit(size_bit, "7.3 entries of a codebook"));
        }
        let center_bit = b.offset();
        let codebook_center_offset = b.ie("codebook_center_offset", 2)?;
        let zero_offset = (codebook_size >> 1).checked_add_signed(codebook_center_offset);
        let zero_offset = zero_offset
            .filter(|&offset| offset < codebook_size)
            .ok_or_else(|| Fault::header(center_bit, "3.2.3 zero entry outside the codebook"))?;
        let zero_value_bit = b.offset();
        let codebook_zero_value = b.ie("codebook_zero_value", 7)?;

        // At most 2^16 entries with distances of at most 2^32: int64 does not overflow.
        let mut entries = Vec::new();
        let mut entry = codebook_zero_value;
        for _ in 0..zero_offset {
            entry -= b.ue("codebook_delta_left", codebook_egk)? as i64 + 1;
            entries.push(entry);
        }
        entries.reverse();
        entry = codebook_zero_value;
        entries.push(entry);
        for _ in zero_offset + 1..codebook_size {
            entry += b.ue("codebook_delta_right", codebook_egk)? as i64 + 1;
            entries.push(entry);
        }
        Ok(Self {
            entries,
            zero_offset: zero_offset as usize,
            zero_value_bit,
        })
    }

    /// The rule on entries beyond int32, which is checked behind the header.
    pub fn check_entries(&self) -> Result<(), Fault> {
        let extremes = [self.entries.first(), self.entries.last()];
        if extremes
            .iter()
            .flatten()
            .any(|&&e| i32::try_from(e).is_err())
        {
            return Err(Fault::header(
                self.zero_value_bit,
                "3.2.3 codebook entry beyond int32",
            ));
        }
        Ok(())
    }

    pub fn size(&self) -> usize {
        self.entries.len()
    }

    pub fn zero_offset(&self) -> usize {
        self.zero_offset
    }

    /// Entry of a level; `None` outside the codebook.
    pub fn entry(&self, level: i32) -> Option<i64> {
        let index = self.zero_offset as i64 + i64::from(level);
        self.entries.get(usize::try_from(index).ok()?).copied()
    }
}
