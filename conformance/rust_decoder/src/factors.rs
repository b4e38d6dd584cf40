// SPDX-License-Identifier: Apache-2.0
//! Clause 3.4: low-rank factors.

use crate::fault::Fault;
use crate::tensors::elements;

/// One of two matrices whose product is the weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    G,
    H,
}

impl Factor {
    /// The factor that a unit of one tensor with DC carries, by the end of its name.
    pub fn of_names(names: &[String]) -> Option<Self> {
        match names.first() {
            Some(name) if name.ends_with("_G") => Some(Self::G),
            Some(name) if name.ends_with("_H") => Some(Self::H),
            _ => None,
        }
    }
}

/// Rank and rows of low-rank factors.
#[derive(Clone, Copy)]
pub struct Decomposition {
    pub decomposition_rank: u64,
    pub g_number_of_rows: u64,
    /// Position of `g_number_of_rows`.
    pub rows_bit: u64,
}

impl Decomposition {
    /// The rules of 3.4 for rank and rows, with faults at `bit`.
    pub fn check(&self, dimensions: &[u64], bit: u64) -> Result<(), Fault> {
        let rows = u128::from(self.g_number_of_rows);
        // The product of the dimensions may exceed any integer type; its remainder does not.
        let remainder = |product: u128, n: &u64| product * u128::from(*n) % rows;
        let is_valid = self.decomposition_rank != 0
            && rows != 0
            && dimensions.iter().fold(1 % rows, remainder) == 0;
        if !is_valid {
            return Err(Fault::header(bit, "3.4 rows or rank of factors"));
        }
        Ok(())
    }

    /// Shape of a factor of a weight of the sent dimensions.
    pub fn shape(&self, factor: Factor, dimensions: &[u64]) -> Vec<u64> {
        let (rank, rows) = (self.decomposition_rank, self.g_number_of_rows);
        match factor {
            Factor::G => vec![rows, rank],
            Factor::H => vec![rank, elements(dimensions).checked_div(rows).unwrap_or(0)],
        }
    }
}
