//! Clause 1: descriptors of fixed length, Exp-Golomb, strings and alignment.

use crate::fault::{Class, Fault};

/// Reader of syntax elements in one piece of a stream.
pub struct Bits<'a> {
    bytes: &'a [u8],
    base: u64,
    position: u64,
}

impl<'a> Bits<'a> {
    /// Reader of `bytes`, whose first bit is bit `base` of the stream.
    pub fn new(bytes: &'a [u8], base: u64) -> Self {
        Self {
            bytes,
            base,
            position: 0,
        }
    }

    /// Bit position in the stream.
    pub fn offset(&self) -> u64 {
        self.base.saturating_add(self.position)
    }

    /// Whether every bit has been read.
    pub fn at_end(&self) -> bool {
        self.position == 8 * self.bytes.len() as u64
    }

    /// Bytes from the next byte boundary to the end.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
            .get(self.position.div_ceil(8) as usize..)
            .unwrap_or(&[])
    }

    /// `st(v)`: a string up to its zero byte.
    pub fn st(&mut self) -> Result<String, Fault> {
        let rest = self.rest();
        let n = rest
            .iter()
            .position(|&b| b == 0)
            .ok_or_else(|| self.truncated())?;
        let text = std::str::from_utf8(&rest[..n])
            .map_err(|_| Fault::new(Class::Malformed, self.offset(), "not UTF-8"))?;
        self.position += 8 * (n as u64 + 1);
        Ok(text.to_owned())
    }

    fn truncated(&self) -> Fault {
        Fault::new(Class::Truncated, self.offset(), "element beyond the end")
    }

    fn bit(&mut self) -> Option<u64> {
        let byte = *self.bytes.get(usize::try_from(self.position / 8).ok()?)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Some(u64::from(bit))
    }

    /// `u(n)` for n up to 64. The fault stands at the element's first bit.
    pub fn u(&mut self, n: u32) -> Result<u64, Fault> {
        let fault = self.truncated();
        let mut value = 0;
        for _ in 0..n {
            value = value << 1 | self.bit().ok_or_else(|| fault.clone())?;
        }
        Ok(value)
    }

    /// `i(n)` for n from 1 to 63.
    pub fn i(&mut self, n: u32) -> Result<i64, Fault> {
        let value = self.u(n)? as i64;
        Ok(if value >> (n - 1) == 1 {
            value - (1 << n)
        } else {
            value
        })
    }

    /// `flt(32)`: the least significant byte first.
    pub fn flt(&mut self) -> Result<f32, Fault> {
        Ok(f32::from_bits((self.u(32)? as u32).swap_bytes()))
    }

    /// `ue(k)` for k up to 31, with 2^32 - 1 as the greatest value.
    pub fn ue(&mut self, mut k: u32) -> Result<u32, Fault> {
        let start = self.offset();
        let truncated = self.truncated();
        let large = || Fault::new(Class::Malformed, start, "Exp-Golomb value beyond 2^32 - 1");
        let mut x: u64 = 0;
        while self.bit().ok_or_else(|| truncated.clone())? == 0 {
            x += 1 << k;
            k += 1;
            if x > u64::from(u32::MAX) {
                return Err(large());
            }
        }
        let rest = self.u(k).map_err(|_| truncated)?;
        u32::try_from(x + rest).map_err(|_| large())
    }

    /// `ie(k)`: 0, 1, 2, 3, 4 become 0, 1, -1, 2, -2.
    pub fn ie(&mut self, k: u32) -> Result<i64, Fault> {
        let x = i64::from(self.ue(k)?);
        Ok(if x % 2 == 1 { (x + 1) / 2 } else { -x / 2 })
    }

    /// `byte_alignment()`: a bit 1, then bits 0 up to a byte boundary.
    pub fn byte_alignment(&mut self) -> Result<(), Fault> {
        let start = self.offset();
        let n = 8 - (self.position % 8) as u32;
        if self.u(n)? != 1 << (n - 1) {
            return Err(Fault::new(Class::Malformed, start, "byte_alignment"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_follows_the_table_of_1_2() {
        for (byte, k, value) in [(0x80, 0, 0), (0x40, 0, 1), (0x60, 0, 2), (0x20, 0, 3)] {
            assert_eq!(Bits::new(&[byte], 0).ue(k), Ok(value));
        }
        for (byte, value) in [(0x80, 0), (0xe0, 3), (0x40, 4), (0x3e, 27)] {
            assert_eq!(Bits::new(&[byte], 0).ue(2), Ok(value));
        }
    }

    #[test]
    fn a_long_run_of_zeros_is_malformed_at_its_first_bit() {
        let fault = Bits::new(&[0; 64], 16).ue(0).unwrap_err();
        assert_eq!((fault.class, fault.bit), (Class::Malformed, 16));
    }

    #[test]
    fn alignment_on_a_boundary_is_a_whole_byte() {
        assert_eq!(Bits::new(&[0x80], 0).byte_alignment(), Ok(()));
        assert!(Bits::new(&[0x81], 0).byte_alignment().is_err());
        assert!(Bits::new(&[], 0).byte_alignment().is_err());
    }

    #[test]
    fn signed_fields_are_twos_complement() {
        assert_eq!(Bits::new(&[0xff, 0xf8], 0).i(13), Ok(-1));
    }
}
