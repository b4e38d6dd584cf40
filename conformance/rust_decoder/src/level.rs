// SPDX-License-Identifier: Apache-2.0
//! Clause 5.3.3: the coded value of one position.

use crate::arithmetic::ArithmeticDecoder;
use crate::contexts::{Contexts, Neighbourhood};
use crate::fault::Fault;

/// Size of a codebook and the index of its zero entry, as the entropy layer uses them.
#[derive(Clone, Copy)]
pub struct CodebookBounds {
    pub size: usize,
    /// `CbZeroOffset`, less than the size.
    pub zero_offset: usize,
}

impl CodebookBounds {
    /// Greatest magnitude of a value of the given sign.
    fn max(&self, negative: bool) -> i64 {
        let entries = if negative {
            self.zero_offset
        } else {
            self.size - 1 - self.zero_offset
        };
        entries as i64
    }

    /// `lim` of 5.3.2.
    pub fn lim(&self) -> i64 {
        self.max(false).max(self.max(true))
    }

    pub fn is_one_sided(&self) -> bool {
        self.max(false) == 0 || self.max(true) == 0
    }
}

const MAX_PREFIX_BINS: u32 = 31;

/// Decode the coded value q of a position.
pub fn coded_value(
    a: &mut ArithmeticDecoder,
    contexts: &mut Contexts,
    p: &Neighbourhood,
    unary_length: usize,
    codebook: Option<&CodebookBounds>,
) -> Result<i64, Fault> {
    let sig_flag = a.regular(contexts.significance(p))?;
    if !sig_flag {
        return Ok(0);
    }
    let negative = match codebook {
        Some(codebook) if codebook.is_one_sided() => codebook.zero_offset != 0,
        _ => a.regular(contexts.sign(p))?,
    };
    // Without a codebook the magnitude is below 2^33.
    let max = codebook.map_or(i64::MAX / 4, |codebook| codebook.max(negative));
    let mut v = 1i64;
    let mut is_greater = max > 1;
    let mut j = 0;
    while is_greater && j < unary_length && v < max {
        is_greater = a.regular(contexts.greater(p, j, negative))?;
        v += i64::from(is_greater);
        j += 1;
    }
    if is_greater && v < max {
        let mut k = 0;
        while k < MAX_PREFIX_BINS && v + (1 << k) <= max && a.regular(contexts.prefix(k))? {
            v += 1 << k;
            k += 1;
        }
        v += a.bypass(k)? as i64;
    }
    if v > max {
        return Err(a.malformed("5.3.3 magnitude beyond the codebook"));
    }
    Ok(if negative { -v } else { v })
}
