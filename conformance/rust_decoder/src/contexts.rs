// SPDX-License-Identifier: Apache-2.0
//! Clause 5.2: the contexts of a tensor and their selection.

use crate::arithmetic::Context;

const SIGNIFICANCE: usize = 0;
const SIGNIFICANCE_BASE: usize = 24;
const SIGNIFICANCE_HISTORY: usize = 40;
const SIGN: usize = 48;
const SIGN_BASE: usize = 51;
const GREATER: usize = 53;

/// Position in the context selection of one level.
#[derive(Clone, Copy, Default)]
pub struct Neighbourhood {
    /// n, the coded value of the position before.
    pub previous_value: i64,
    /// State of dependent quantisation; 0 without it.
    pub state: usize,
    /// b, the level of the previous update.
    pub base: i32,
    /// Whether the history is used and set.
    pub history: bool,
}

impl Neighbourhood {
    /// c of 5.2.
    fn sign_class(&self) -> usize {
        match self.previous_value {
            0 => 0,
            n if n < 0 => 1,
            _ => 2,
        }
    }
}

/// All contexts of a tensor, numbered as in 5.2.
pub struct Contexts {
    contexts: Vec<Context>,
    unary_length: usize,
}

impl Contexts {
    /// Fresh contexts, all with initialisation 0.
    pub fn new(unary_length: usize) -> Self {
        Self {
            contexts: vec![Context::default(); GREATER + 4 * unary_length + 37],
            unary_length,
        }
    }

    pub fn reset(&mut self) {
        self.contexts.iter_mut().for_each(Context::reset);
    }

    /// Context of an index.
    pub fn at(&mut self, index: usize) -> &mut Context {
        &mut self.contexts[index]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Context> {
        self.contexts.iter()
    }

    pub fn significance(&mut self, p: &Neighbourhood) -> &mut Context {
        let index = if p.history {
            SIGNIFICANCE_HISTORY + p.state
        } else if p.base != 0 {
            SIGNIFICANCE_BASE + 2 * p.state + usize::from(p.base.unsigned_abs() > 1)
        } else {
            SIGNIFICANCE + 3 * p.state + p.sign_class()
        };
        self.at(index)
    }

    pub fn sign(&mut self, p: &Neighbourhood) -> &mut Context {
        let index = if p.base != 0 {
            SIGN_BASE + usize::from(p.base > 0)
        } else {
            SIGN + p.sign_class()
        };
        self.at(index)
    }

    /// Context of greater-than flag j, j below U.
    pub fn greater(&mut self, p: &Neighbourhood, j: usize, negative: bool) -> &mut Context {
        let index = if p.base != 0 {
            let is_beyond_base = (p.base.unsigned_abs() as usize) < j;
            2 * self.unary_length + 2 * j + usize::from(is_beyond_base)
        } else {
            2 * j + usize::from(negative)
        };
        self.at(GREATER + index)
    }

    /// First context of the Exp-Golomb prefix.
    pub fn first_prefix(&self) -> usize {
        GREATER + 4 * self.unary_length
    }

    /// Context of prefix bin j, 0 to 30.
    pub fn prefix(&mut self, j: u32) -> &mut Context {
        self.at(self.first_prefix() + j as usize)
    }

    pub fn initialisation_flag(&mut self) -> &mut Context {
        self.at(self.first_prefix() + 34)
    }

    pub fn row_skip(&mut self) -> &mut Context {
        self.at(self.first_prefix() + 36)
    }
}
