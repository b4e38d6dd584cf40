// SPDX-License-Identifier: Apache-2.0
//! Clauses 5.3.1, 5.3.2, 5.4 and 5.5: the levels of one tensor.

use crate::arithmetic::ArithmeticDecoder;
use crate::contexts::{Contexts, Neighbourhood};
use crate::fault::Fault;
use crate::level::{coded_value, CodebookBounds};
use crate::scan::Scan;
use crate::tables::NEXT;
use crate::updates::RememberedTensor;

/// Coding choices of one tensor.
pub struct TensorCoding<'a> {
    pub rows: u64,
    pub width: u64,
    /// `dq_flag`; false in an integer payload.
    pub dq: bool,
    /// U.
    pub unary_length: usize,
    pub scan_order: u32,
    pub profile: u8,
    /// Bounds of the codebook; `None` without one and in profile 0.
    pub codebook: Option<CodebookBounds>,
    pub parent_node_id_present_flag: bool,
    pub temporal_context_modeling_flag: bool,
    pub previous_update: Option<&'a RememberedTensor>,
}

/// Levels of a tensor in row-major order, and its contexts after the last bin.
pub struct TensorData {
    pub levels: Vec<i32>,
    pub contexts: Contexts,
}

impl TensorCoding<'_> {
    /// Whether the base is used: 5.3, "temporal".
    fn temporal(&self) -> bool {
        self.temporal_context_modeling_flag && self.previous_update.is_some()
    }

    fn one_entry(&self) -> bool {
        self.codebook.is_some_and(|codebook| codebook.size == 1)
    }

    /// Decode the tensor data.
    ///
    /// The caller has checked that rows * width is within the limits.
    pub fn decode(&self, a: &mut ArithmeticDecoder) -> Result<TensorData, Fault> {
        let mut contexts = Contexts::new(self.unary_length);
        let mut history_flag = false;
        let mut row_skip = Vec::new();
        if self.profile == 1 && self.width > 1 && self.rows > 1 && !self.one_entry() {
            if self.parent_node_id_present_flag {
                history_flag = a.bypass(1)? == 1; // hist_dep_sig_prob_enabled_flag
            }
            let row_skip_enabled_flag = a.bypass(1)? == 1;
            if row_skip_enabled_flag {
                for _ in 0..self.rows {
                    row_skip.push(a.regular(contexts.row_skip())?);
                }
            }
        }
        self.initialisations(a, &mut contexts, history_flag)?;
        let levels = self.levels(a, &mut contexts, history_flag, &row_skip)?;
        Ok(TensorData { levels, contexts })
    }

    /// Initialisations of the contexts (5.3.2).
    fn initialisations(
        &self,
        a: &mut ArithmeticDecoder,
        contexts: &mut Contexts,
        history_flag: bool,
    ) -> Result<(), Fault> {
        let u = self.unary_length;
        let states = if self.dq { 8 } else { 1 };
        let temporal = self.temporal();
        let is_coded = !self.one_entry();
        let has_sign = is_coded
            && self
                .codebook
                .is_none_or(|codebook| !codebook.is_one_sided());
        // Largest magnitude; unbounded without a codebook.
        let lim = self
            .codebook
            .map_or(i64::MAX / 4, |codebook| codebook.lim());
        let mut signalled = Vec::new();
        if is_coded {
            signalled.extend(0..3 * states);
            if temporal {
                signalled.extend(24..24 + 2 * states);
            }
            if history_flag {
                signalled.extend(40..40 + states);
            }
        }
        if has_sign {
            signalled.extend(if temporal { 48..53 } else { 48..51 });
        }
        signalled.extend((0..2 * u).filter(|&a| (a as i64) < 2 * lim).map(|a| 53 + a));
        if temporal {
            let is_reachable = |&a: &usize| (a as i64) < 2 * (lim - 1) + 2 * u as i64;
            signalled.extend((2 * u..4 * u).filter(is_reachable).map(|a| 53 + a));
        }
        let is_reachable = |&a: &usize| u as i64 - 1 + ((2i64 << a) - 1) < lim;
        let first_prefix = contexts.first_prefix();
        signalled.extend((0..31).filter(is_reachable).map(|a| first_prefix + a));
        for index in signalled {
            if a.regular(contexts.initialisation_flag())? {
                let e = a.bypass(3)? as usize;
                contexts.at(index).take(e + 1);
            }
        }
        Ok(())
    }

    /// Levels in scan order (5.3.3), mapped by 5.4.
    fn levels(
        &self,
        a: &mut ArithmeticDecoder,
        contexts: &mut Contexts,
        history_flag: bool,
        row_skip: &[bool],
    ) -> Result<Vec<i32>, Fault> {
        if self.rows == 0 || self.width == 0 {
            return Ok(Vec::new());
        }
        let (rows, width) = (self.rows as usize, self.width as usize);
        let base = self.previous_update.filter(|_| self.temporal());
        let history = self.previous_update.filter(|_| history_flag);
        let mut levels = vec![0; rows * width];
        let mut state = 0usize;
        let scan = Scan::new(rows, width, self.scan_order);
        let several_block_rows = scan.block_rows().nth(1).is_some();
        for top in scan.block_rows() {
            if top > 0 {
                contexts.reset();
            }
            if several_block_rows {
                a.set_range_256()?;
            }
            let mut previous_value = 0;
            for segment in scan.segments(top) {
                if self.one_entry() {
                    continue;
                }
                if row_skip.get(segment.row) == Some(&true) {
                    if self.dq {
                        state = (0..width % 4).fold(state, |state, _| NEXT[state][0]);
                    }
                    continue;
                }
                for column in segment.left..segment.right {
                    let position = segment.row * width + column;
                    let neighbourhood = Neighbourhood {
                        previous_value,
                        state,
                        base: base.map_or(0, |tensor| tensor.level(position)),
                        history: history.is_some_and(|tensor| tensor.history(position)),
                    };
                    let q = coded_value(
                        a,
                        contexts,
                        &neighbourhood,
                        self.unary_length,
                        self.codebook.as_ref(),
                    )?;
                    previous_value = q;
                    let mut level = q;
                    if self.dq {
                        level = 2 * q - q.signum() * (state as i64 & 1);
                        state = NEXT[state][(q & 1) as usize];
                    }
                    levels[position] = i32::try_from(level)
                        .map_err(|_| a.malformed("5.3.3 level beyond int32"))?;
                }
            }
        }
        Ok(levels)
    }
}
