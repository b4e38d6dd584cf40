// SPDX-License-Identifier: Apache-2.0
//! Clause 1.2: Exp-Golomb descriptors.

use crate::bits::Bits;
use crate::fault::Fault;
use crate::trace::Value;

impl Bits<'_> {
    /// `ue(k)`, 0 to 2^32 - 1.
    pub fn ue(&mut self, element: &'static str, k: u32) -> Result<u64, Fault> {
        let first = self.position();
        let value = self.exp_golomb(k, 32)?;
        self.trace(first, element, || Value::Integer(value as i64));
        Ok(value)
    }

    /// `ie(k)`: 0, 1, 2, 3, 4 become 0, 1, -1, 2, -2.
    pub fn ie(&mut self, element: &'static str, k: u32) -> Result<i64, Fault> {
        let first = self.position();
        let x = self.exp_golomb(k, 32)? as i64;
        let value = if x % 2 == 1 { (x + 1) / 2 } else { -x / 2 };
        self.trace(first, element, || Value::Integer(value));
        Ok(value)
    }

    /// `ue(7)` of a class bit mask, 0 to 2^256 - 1; the decoding process does not use its value.
    pub fn class_bitmask(&mut self, element: &'static str) -> Result<(), Fault> {
        let first = self.position();
        self.exp_golomb(7, 256)?;
        self.trace(first, element, || {
            Value::Long(self.class_bitmask_value(first))
        });
        Ok(())
    }

    /// Value of the class bit mask from bit `first` to here: its bits as one integer, less 2^7.
    fn class_bitmask_value(&self, first: u64) -> Vec<u8> {
        let mut bits = self.at(first);
        let mut integer = vec![0u8; 66];
        while bits.position() < self.position() {
            let mut carry = bits.bit().unwrap_or(0) as u8;
            for byte in integer.iter_mut().rev() {
                (*byte, carry) = (*byte << 1 | carry, *byte >> 7);
            }
        }
        let mut borrow = 1 << 7;
        for byte in integer.iter_mut().rev() {
            let (difference, is_negative) = byte.overflowing_sub(borrow);
            (*byte, borrow) = (difference, u8::from(is_negative));
        }
        integer
    }

    /// Exp-Golomb value of at most `max_bits` bits, modulo 2^64.
    ///
    /// Behind z zeros the suffix has k + z bits, and x is at least 2^(k + z) - 2^k. With
    /// k + z = `max_bits` only the last k bits of the suffix may be set.
    fn exp_golomb(&mut self, k: u32, max_bits: u32) -> Result<u64, Fault> {
        let first = self.position();
        let bit = self.offset();
        let too_large = || Fault::header(bit, "1.2 Exp-Golomb value too large");
        let mut suffix_bits = k;
        while self.bit().ok_or_else(|| self.truncated(first))? == 0 {
            suffix_bits += 1;
            if suffix_bits > max_bits {
                return Err(too_large());
            }
        }
        let (mut suffix, mut is_too_large) = (0u64, false);
        for i in (0..suffix_bits).rev() {
            let bit = self.bit().ok_or_else(|| self.truncated(first))?;
            is_too_large |= suffix_bits == max_bits && i >= k && bit == 1;
            suffix = suffix << 1 | u64::from(bit);
        }
        if is_too_large {
            return Err(too_large());
        }
        let power = |n: u32| 1u64.checked_shl(n).unwrap_or(0);
        Ok(power(suffix_bits)
            .wrapping_sub(power(k))
            .wrapping_add(suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::Container;
    use crate::fault::Class;

    fn read<T>(bytes: &[u8], element: impl Fn(&mut Bits) -> T) -> T {
        element(&mut Bits::new(&Container::new(bytes, 16)))
    }

    #[test]
    fn exp_golomb_follows_the_table_of_1_2() {
        for (byte, k, value) in [(0x80, 0, 0), (0x40, 0, 1), (0x60, 0, 2), (0x20, 0, 3)] {
            assert_eq!(read(&[byte], |b| b.ue("", k)), Ok(value));
        }
        for (byte, value) in [(0x80, 0), (0xe0, 3), (0x40, 4), (0x3e, 27)] {
            assert_eq!(read(&[byte], |b| b.ue("", 2)), Ok(value));
        }
    }

    #[test]
    fn exp_golomb_ends_at_its_bound() {
        let largest = [0, 0, 0, 0, 0x80, 0, 0, 0, 0];
        assert_eq!(read(&largest, |b| b.ue("", 0)), Ok(u64::from(u32::MAX)));
        let larger = [0, 0, 0, 0, 0x80, 0, 0, 0, 0x80];
        assert!(read(&larger, |b| b.ue("", 0)).is_err());
    }

    #[test]
    fn a_long_run_of_zeros_is_malformed_at_its_first_bit() {
        let fault = read(&[0; 64], |b| b.ue("", 0)).unwrap_err();
        assert_eq!((fault.class, fault.bit), (Class::Malformed, 16));
    }
}
