//! Clause 5.1: the arithmetic decoder.

use crate::bits::Bits;
use crate::fault::{Class, Fault};
use crate::tables::{INIT, RLPS, STEP};

#[derive(Clone, Copy, Default)]
pub struct Context {
    init: usize,
    s0: i32,
    s1: i32,
}

impl Context {
    pub fn take(&mut self, init: usize) {
        self.init = init;
        self.reset();
    }

    pub fn reset(&mut self) {
        (self.s0, self.s1) = (INIT[self.init].2, INIT[self.init].3);
    }

    fn update(&mut self, bin: bool) {
        let g = if bin { 1 } else { -1 };
        let (shift0, shift1, ..) = INIT[self.init];
        self.s0 += g * (STEP[(16 + ((g * self.s0) >> 3)) as usize & 31] >> shift0);
        self.s1 += g * (STEP[(16 + ((g * self.s1) >> 7)) as usize & 31] >> shift1);
    }
}

pub struct Arithmetic<'a> {
    bits: Bits<'a>,
    range: u32,
    offset: u32,
    last: u32,
}

impl<'a> Arithmetic<'a> {
    pub fn new(mut bits: Bits<'a>) -> Result<Self, Fault> {
        let offset = bits.u(9)? as u32;
        if offset >= 510 {
            return Err(Fault::new(Class::Malformed, bits.offset(), "5.1.1"));
        }
        Ok(Self {
            bits,
            range: 510,
            offset,
            last: offset & 1,
        })
    }

    pub fn malformed(&self, text: &'static str) -> Fault {
        Fault::new(Class::Malformed, self.bits.offset(), text)
    }

    fn shift(&mut self) -> Result<(), Fault> {
        self.last = self.bits.u(1)? as u32;
        self.offset = 2 * self.offset + self.last;
        Ok(())
    }

    fn normalise(&mut self) -> Result<(), Fault> {
        while self.range < 256 {
            self.range *= 2;
            self.shift()?;
        }
        Ok(())
    }

    pub fn regular(&mut self, context: &mut Context) -> Result<bool, Fault> {
        let s = context.s1 + 16 * context.s0;
        let lps = RLPS[(self.range >> 5 & 7) as usize][((s >> 7).unsigned_abs() & 31) as usize];
        let mut bin = s >= 0;
        self.range -= lps;
        if self.offset >= self.range {
            bin = !bin;
            self.offset -= self.range;
            self.range = lps;
        }
        self.normalise()?;
        context.update(bin);
        Ok(bin)
    }

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

    /// 5.5.1: the range at the start of a block row.
    pub fn narrow(&mut self) -> Result<(), Fault> {
        if self.offset > 255 {
            return Err(self.malformed("5.5.1"));
        }
        self.range = 256;
        Ok(())
    }

    /// 5.1.7: the end of the codeword.
    pub fn finish(mut self) -> Result<(), Fault> {
        self.range -= 2;
        if self.offset < self.range {
            self.normalise()?;
            return Err(self.malformed("terminating bin"));
        }
        let bit = self.bits.offset();
        if self.last == 0 {
            return Err(Fault::new(Class::Malformed, bit - 1, "stop bit"));
        }
        while self.bits.offset() % 8 != 0 {
            let bit = self.bits.offset();
            if self.bits.u(1)? == 1 {
                return Err(Fault::new(Class::Malformed, bit, "padding"));
            }
        }
        if !self.bits.at_end() {
            return Err(self.malformed("bytes behind the codeword"));
        }
        Ok(())
    }
}
