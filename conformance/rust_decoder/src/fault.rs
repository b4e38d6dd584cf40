// SPDX-License-Identifier: Apache-2.0
//! Clause 7.1: faults, with their class, stage and bit position.

/// Class of a fault (7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Truncated,
    Malformed,
    Unsupported,
    Limit,
}

/// Step of decoding in which a fault is found (7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Framing,
    Header,
    Payload,
    Reconstruction,
    Sequence,
}

/// Reason for the rejection of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub class: Class,
    pub stage: Stage,
    /// Bit position from the start of the stream.
    pub bit: u64,
    /// Clause and condition.
    pub text: &'static str,
}

impl Fault {
    pub fn new(class: Class, stage: Stage, bit: u64, text: &'static str) -> Self {
        Self {
            class,
            stage,
            bit,
            text,
        }
    }

    /// Malformed element of a header or parameter set.
    pub fn header(bit: u64, text: &'static str) -> Self {
        Self::new(Class::Malformed, Stage::Header, bit, text)
    }

    /// Malformed frame or part of a unit.
    pub fn framing(bit: u64, text: &'static str) -> Self {
        Self::new(Class::Malformed, Stage::Framing, bit, text)
    }

    /// Malformed codeword or raw payload.
    pub fn payload(bit: u64, text: &'static str) -> Self {
        Self::new(Class::Malformed, Stage::Payload, bit, text)
    }

    /// Limit of 7.3 exceeded by an element of a header.
    pub fn limit(bit: u64, text: &'static str) -> Self {
        Self::new(Class::Limit, Stage::Header, bit, text)
    }
}

impl Class {
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::Limit => "limit",
        }
    }
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Framing => "framing",
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Reconstruction => "reconstruction",
            Self::Sequence => "sequence",
        }
    }
}
