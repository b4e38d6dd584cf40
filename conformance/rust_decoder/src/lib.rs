//! Decoder of NNC streams, from the published pages. Clause 1 only: descriptors.
#![forbid(unsafe_code)]

pub mod bits;
pub mod fault;
