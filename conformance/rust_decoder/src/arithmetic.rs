// SPDX-License-Identifier: Apache-2.0
//! Clause 5.1: the arithmetic decoder.

use crate::bits::Bits;
use crate::container::Container;
use crate::fault::{Class, Fault, Stage};
use crate::tables::{INITIALISATIONS, RLPS, STEP};

/// Context of regular bins (5.1.3).
#[derive(Clone, Copy, Default)]
pub struct Context {
    initialisation: usize,
    s0: i32,
    s1: i32,
}

impl Context {
    /// Take an initialisation, 0 to 8.
    pub fn take(&mut self, initialisation: usize) {
        self.initialisation = initialisation;
        self.reset();
    }

    /// Restore the estimators of the initialisation taken last.
    pub fn reset(&mut self) {
        let initialisation = &INITIALISATIONS[self.initialisation];
        (self.s0, self.s1) = (initialisation.s0, initialisation.s1);
    }

    /// Estimators, for the report.
    pub fn estimators(&self) -> (i32, i32) {
        (self.s0, self.s1)
    }

    /// Update with a bin (5.1.4).
    fn update(&mut self, bin: bool) {
        let g = if bin { 1 } else { -1 };
        let initialisation = &INITIALISATIONS[self.initialisation];
        let step = |scaled: i32| STEP[(16 + scaled) as usize & 31];
        self.s0 += g * (step((g * self.s0) >> 3) >> initialisation.shift0);
        self.s1 += g * (step((g * self.s1) >> 7) >> initialisation.shift1);
    }
}

/// Arithmetic decoder of one codeword.
pub struct ArithmeticDecoder<'a> {
    bits: Bits<'a>,
    container: &'a Container<'a>,
    range: u32,
    offset: u32,
    /// Bit of the codeword read last.
    last_bit: u32,
}

impl<'a> ArithmeticDecoder<'a> {
    /// Start of the codeword that fills the container (5.1.1).
    pub fn new(container: &'a Container<'a>) -> Result<Self, Fault> {
        let mut decoder = Self {
            bits: Bits::new(container),
            container,
            range: 510,
            offset: 0,
            last_bit: 0,
        };
        for _ in 0..9 {
            decoder.shift()?;
        }
        if decoder.offset >= 510 {
            return Err(decoder.malformed("5.1.1 offset 510 or 511"));
        }
        Ok(decoder)
    }

    /// Range, offset and position in the codeword, for the report.
    pub fn registers(&self) -> (u32, u32, u64) {
        (self.range, self.offset, self.bits.offset())
    }

    /// Malformed codeword, at the next bit.
    pub fn malformed(&self, text: &'static str) -> Fault {
        Fault::payload(self.bits.offset(), text)
    }

    fn shift(&mut self) -> Result<(), Fault> {
        let bit = self.bits.bit().ok_or_else(|| {
            let end = self.container.stream_bit(self.container.size_bits());
            Fault::new(
                Class::Truncated,
                Stage::Payload,
                end,
                "5.1 end of the codeword",
            )
        })?;
        self.last_bit = bit;
        self.offset = 2 * self.offset + bit;
        Ok(())
    }

    fn renormalise(&mut self) -> Result<(), Fault> {
        while self.range < 256 {
            self.range *= 2;
            self.shift()?;
        }
        Ok(())
    }

    /// Regular bin, `ae(context)` (5.1.2).
    pub fn regular(&mut self, context: &mut Context) -> Result<bool, Fault> {
        let s = context.s1 + 16 * context.s0;
        let column = (s >> 7).unsigned_abs() as usize & 31;
        let lps = RLPS[self.range as usize >> 5 & 7][column];
        let mut bin = s >= 0;
        self.range -= lps;
        if self.offset >= self.range {
            bin = !bin;
            self.offset -= self.range;
            self.range = lps;
        }
        self.renormalise()?;
        context.update(bin);
        Ok(bin)
    }

    /// n bypass bins, `uae(n)`, n up to 32 (5.1.5).
    pub fn bypass(&mut self, n: u32) -> Result<u64, Fault> {
        let mut value = 0;
        for _ in 0..n {
            self.shift()?;
            let bin = self.offset >= self.range;
            if bin {
                self.offset -= self.range;
            }
            value = value << 1 | u64::from(bin);
        }
        Ok(value)
    }

    /// Set the range at the start of a block row (5.5.1).
    pub fn set_range_256(&mut self) -> Result<(), Fault> {
        if self.offset > 255 {
            return Err(self.malformed("5.5.1 offset above 255"));
        }
        self.range = 256;
        Ok(())
    }

    /// The end of the codeword (5.1.7).
    pub fn finish(mut self) -> Result<(), Fault> {
        self.range -= 2;
        if self.offset < self.range {
            self.renormalise()?;
            return Err(self.malformed("5.1.7 terminating bin 0"));
        }
        if self.last_bit == 0 {
            let stop_bit = self.bits.position().saturating_sub(1);
            let bit = self.container.stream_bit(stop_bit);
            return Err(Fault::payload(bit, "5.1.7 stop bit 0"));
        }
        while !self.bits.position().is_multiple_of(8) {
            let bit = self.bits.offset();
            if self.bits.bit() == Some(1) {
                return Err(Fault::payload(bit, "5.1.7 padding bit 1"));
            }
        }
        if self.bits.position() != self.container.size_bits() {
            return Err(self.malformed("5.1.7 bytes behind the codeword"));
        }
        Ok(())
    }
}
