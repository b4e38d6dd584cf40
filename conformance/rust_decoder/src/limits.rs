// SPDX-License-Identifier: Apache-2.0
//! Clause 7.3: limits, at the recommended minimum unless a comment says otherwise.

/// As many as of a stream: a single large tensor is as valid as many small ones.
pub const TENSOR_ELEMENTS: u64 = STREAM_ELEMENTS;
pub const STREAM_ELEMENTS: u64 = 1 << 26;
pub const DIMENSIONS: u64 = 32;
pub const NAMES: u64 = 1 << 16;
pub const STRING_BYTES: usize = 1 << 12;
pub const CODEBOOK_ENTRIES: u64 = 1 << 16;
pub const ENTRY_POINTS: u64 = 1 << 16;
pub const INFLATED_BYTES: usize = 1 << 22;
/// Eight times the minimum, for long sequences of small tensors.
pub const REMEMBERED_UPDATES: usize = 64;
