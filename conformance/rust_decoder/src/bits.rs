// SPDX-License-Identifier: Apache-2.0
//! Clauses 1.1 and 1.3: descriptors of fixed length, strings and alignment.

use crate::container::Container;
use crate::fault::{Class, Fault, Stage};
use crate::limits;
use crate::trace::{Trace, Value};

/// Reader of the syntax elements of a container.
pub struct Bits<'a> {
    container: &'a Container<'a>,
    trace: Option<&'a Trace>,
    position: u64,
}

impl<'a> Bits<'a> {
    pub fn new(container: &'a Container<'a>) -> Self {
        Self {
            container,
            trace: None,
            position: 0,
        }
    }

    /// Reader that adds every element to a trace.
    pub fn traced(container: &'a Container<'a>, trace: &'a Trace) -> Self {
        Self {
            trace: Some(trace),
            ..Self::new(container)
        }
    }

    /// Reader at another position of the same container.
    pub(crate) fn at(&self, position: u64) -> Self {
        Self { position, ..*self }
    }

    /// Bit position in the container.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bit position in the stream of the next bit.
    pub fn offset(&self) -> u64 {
        self.container.stream_bit(self.position)
    }

    /// Bytes from the next byte boundary to the end of the container.
    pub fn rest(&self) -> &'a [u8] {
        let first = usize::try_from(self.position.div_ceil(8)).unwrap_or(usize::MAX);
        self.container.bytes().get(first..).unwrap_or(&[])
    }

    /// Next bit, untraced; `None` at the end of the container.
    pub fn bit(&mut self) -> Option<u32> {
        let byte = *self.container.bytes().get((self.position / 8) as usize)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Some(u32::from(bit))
    }

    /// Truncated element whose first bit is at `position` of the container.
    pub(crate) fn truncated(&self, position: u64) -> Fault {
        let bit = self.container.stream_bit(position);
        Fault::new(
            Class::Truncated,
            Stage::Header,
            bit,
            "1 element beyond its unit",
        )
    }

    /// Trace the element that starts at `position` of the container and ends here.
    pub(crate) fn trace(
        &self,
        position: u64,
        element: &'static str,
        value: impl FnOnce() -> Value,
    ) {
        if let Some(trace) = self.trace {
            let bit = self.container.stream_bit(position);
            trace.add(bit, self.position - position, element, value);
        }
    }

    /// `u(n)`, n up to 32.
    pub fn u(&mut self, element: &'static str, n: u32) -> Result<u64, Fault> {
        let first = self.position;
        let value = self.untraced(n)?;
        self.trace(first, element, || Value::Integer(value as i64));
        Ok(value)
    }

    fn untraced(&mut self, n: u32) -> Result<u64, Fault> {
        let first = self.position;
        let mut value = 0;
        for _ in 0..n {
            let bit = self.bit().ok_or_else(|| self.truncated(first))?;
            value = value << 1 | u64::from(bit);
        }
        Ok(value)
    }

    /// `u(1)` as a condition.
    pub fn flag(&mut self, element: &'static str) -> Result<bool, Fault> {
        Ok(self.u(element, 1)? == 1)
    }

    /// `u(8 * N)` as bytes, the first most significant.
    pub fn bytes<const N: usize>(&mut self, element: &'static str) -> Result<[u8; N], Fault> {
        let first = self.position;
        let value = self.untraced_bytes()?;
        self.trace(first, element, || Value::Long(value.to_vec()));
        Ok(value)
    }

    fn untraced_bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let first = self.position;
        let mut value = [0; N];
        for byte in &mut value {
            *byte = self.untraced(8).map_err(|_| self.truncated(first))? as u8;
        }
        Ok(value)
    }

    /// `i(n)`, n from 1 to 63.
    pub fn i(&mut self, element: &'static str, n: u32) -> Result<i64, Fault> {
        let first = self.position;
        let value = twos_complement(self.untraced(n)?, n);
        self.trace(first, element, || Value::Integer(value));
        Ok(value)
    }

    /// `flt(32)`, the least significant byte first.
    pub fn flt(&mut self, element: &'static str) -> Result<f32, Fault> {
        let first = self.position;
        let bytes = self.untraced_bytes()?;
        self.trace(first, element, || Value::Bytes(bytes.to_vec()));
        Ok(f32::from_le_bytes(bytes))
    }

    /// `st(v)`: the string before the first zero byte.
    pub fn st(&mut self, element: &'static str) -> Result<String, Fault> {
        let first = self.position;
        let rest = self.rest();
        let zero = rest.iter().position(|&byte| byte == 0);
        let size = zero.ok_or_else(|| self.truncated(self.position))?;
        if size > limits::STRING_BYTES {
            return Err(Fault::limit(self.offset(), "7.3 bytes of a string"));
        }
        let text = std::str::from_utf8(&rest[..size])
            .map_err(|_| Fault::header(self.offset(), "1.3 string that is not UTF-8"))?;
        self.position += 8 * (size as u64 + 1);
        self.trace(first, element, || Value::Bytes(text.into()));
        Ok(text.to_owned())
    }

    /// `bs(v)`: the bytes to the end of the container.
    pub fn bs(&mut self, element: &'static str) -> &'a [u8] {
        let (first, bytes) = (self.position, self.rest());
        self.position = self.container.size_bits();
        self.trace(first, element, || Value::Bytes(bytes.into()));
        bytes
    }

    /// `byte_alignment()`: a bit 1, then bits 0 up to a byte boundary.
    pub fn byte_alignment(&mut self) -> Result<(), Fault> {
        let bit = self.offset();
        let n = 8 - (self.position % 8) as u32;
        if self.u("byte_alignment", n)? != 1 << (n - 1) {
            return Err(Fault::header(bit, "1.3 byte_alignment"));
        }
        Ok(())
    }

    /// `nnr_reserved_zero_*`, n bits.
    pub fn reserved_zero(&mut self, element: &'static str, n: u32) -> Result<(), Fault> {
        let bit = self.offset();
        if self.u(element, n)? != 0 {
            return Err(Fault::header(bit, "2.5 reserved bit that is 1"));
        }
        Ok(())
    }

    /// The end of a header or payload that fills its unit.
    pub fn end(&self) -> Result<(), Fault> {
        if self.position != self.container.size_bits() {
            return Err(Fault::header(self.offset(), "2.2 bytes behind the payload"));
        }
        Ok(())
    }
}

/// Signed integer of an n-bit two's complement field, n from 1 to 63.
pub fn twos_complement(value: u64, n: u32) -> i64 {
    let value = value as i64;
    if value >> (n - 1) == 1 {
        value - (1 << n)
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(bytes: &[u8], element: impl Fn(&mut Bits) -> T) -> T {
        element(&mut Bits::new(&Container::new(bytes, 16)))
    }

    #[test]
    fn alignment_on_a_boundary_is_a_whole_byte() {
        assert_eq!(read(&[0x80], |b| b.byte_alignment()), Ok(()));
        assert!(read(&[0x81], |b| b.byte_alignment()).is_err());
        assert!(read(&[], |b| b.byte_alignment()).is_err());
    }

    #[test]
    fn signed_fields_are_twos_complement() {
        assert_eq!(read(&[0xff, 0xf8], |b| b.i("", 13)), Ok(-1));
    }
}
