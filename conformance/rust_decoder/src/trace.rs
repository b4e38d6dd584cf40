// SPDX-License-Identifier: Apache-2.0
//! Syntax trace of the conformance contract: the elements outside the payloads of data units.

use std::cell::RefCell;
use std::fmt::Write;

/// Value of a syntax element.
pub enum Value {
    Integer(i64),
    /// Unsigned integer of any length, most significant byte first.
    Long(Vec<u8>),
    /// Bytes of a string, a byte string or a float, in stream order.
    Bytes(Vec<u8>),
}

struct Line {
    bit_offset: u64,
    n_bits: u64,
    element: &'static str,
    value: Value,
}

/// Lines of a trace. A disabled trace stays empty: long traces take many times the memory of
/// their stream.
#[derive(Default)]
pub struct Trace {
    lines: Option<RefCell<Vec<Line>>>,
}

impl Trace {
    pub fn new(is_enabled: bool) -> Self {
        Self {
            lines: is_enabled.then(RefCell::default),
        }
    }

    /// Add an element; its value is computed only when the trace is enabled.
    pub fn add(
        &self,
        bit_offset: u64,
        n_bits: u64,
        element: &'static str,
        value: impl FnOnce() -> Value,
    ) {
        if let Some(lines) = &self.lines {
            lines.borrow_mut().push(Line {
                bit_offset,
                n_bits,
                element,
                value: value(),
            });
        }
    }

    /// The trace as text, in the order of parsing; `None` when it is disabled.
    pub fn into_text(self) -> Option<String> {
        let lines = self.lines?.into_inner();
        let mut text = String::new();
        for line in lines {
            let value = match line.value {
                Value::Integer(value) => value.to_string(),
                Value::Long(bytes) => decimal(&bytes),
                Value::Bytes(bytes) => crate::sha2::hexadecimal(&bytes),
            };
            let _ = writeln!(
                text,
                "{}\t{}\t{}\t{value}",
                line.bit_offset, line.n_bits, line.element
            );
        }
        Some(text)
    }
}

/// Decimal digits of an unsigned integer, most significant byte first.
fn decimal(bytes: &[u8]) -> String {
    let mut number = bytes.to_vec();
    let mut digits = Vec::new();
    while number.iter().any(|&byte| byte != 0) {
        let mut remainder = 0u32;
        for byte in &mut number {
            let dividend = remainder << 8 | u32::from(*byte);
            *byte = (dividend / 10) as u8;
            remainder = dividend % 10;
        }
        digits.push(char::from(b'0' + remainder as u8));
    }
    if digits.is_empty() {
        digits.push('0');
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_integers_are_decimal() {
        assert_eq!(decimal(&[]), "0");
        assert_eq!(decimal(&[0, 1, 0]), "256");
        assert_eq!(decimal(&[0xff; 16]), u128::MAX.to_string());
    }
}
