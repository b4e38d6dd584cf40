// SPDX-License-Identifier: Apache-2.0
//! Decoder of NNC streams, written from the pages of `spec/` alone. Modules stand in their order.
#![forbid(unsafe_code)]

// 7.1, 7.3
pub mod fault;
pub mod limits;
// 1
pub mod bits;
pub mod container;
pub mod exp_golomb;
// 2
pub mod framing;
pub mod inflate;
pub mod parameter_sets;
pub mod parts;
pub mod performance_maps;
pub mod stream;
pub mod topology;
// 3
pub mod codebook;
pub mod factors;
pub mod header;
pub mod names;
pub mod nodes;
pub mod payload;
pub mod sha2;
pub mod tensors;
// 4
pub mod values;
// 5
pub mod arithmetic;
pub mod contexts;
pub mod level;
pub mod scan;
pub mod tensor_data;
pub mod updates;
// 6
pub mod tables;
// The conformance contract
pub mod output;
pub mod trace;
