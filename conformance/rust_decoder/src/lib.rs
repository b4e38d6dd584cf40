//! Decoder of NNC streams, from the published pages. Incomplete: codebooks, block units, factors,
//! updates, parts, maps and deflate are answered as not supported.
#![forbid(unsafe_code)]

pub mod arithmetic;
pub mod bits;
pub mod fault;
pub mod stream;
pub mod tables;
pub mod tensor;
