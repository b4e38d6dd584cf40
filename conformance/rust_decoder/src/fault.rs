//! Faults: the error classes and stages of the command-line contract.

/// Class of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Truncated,
    Malformed,
    Unsupported,
    Limit,
}

/// Reason why a stream is not decoded, at a bit position of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub class: Class,
    pub bit: u64,
    pub text: &'static str,
}

impl Fault {
    pub fn new(class: Class, bit: u64, text: &'static str) -> Self {
        Self { class, bit, text }
    }
}
