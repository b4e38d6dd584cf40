// SPDX-License-Identifier: Apache-2.0
// The payload of a data unit: codeword to levels, levels to values.
// Clause: format 3.5, 4 and 5.
#pragma once

#include <cstdint>
#include <span>

#include "fault.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

// Decodes all tensors of a codeword. levels[i] has room for codings[i].size() values and qp_values for one value each;
// row_flags has room for the rows of any tensor that has a row-skip flag. A fault's bit offset counts from the payload's first
// bit.
[[nodiscard]] Fault decode_levels_of(std::span<const std::uint8_t> payload, std::span<const TensorCoding> codings,
                                     std::span<std::int32_t* const> levels, std::int32_t* qp_values, std::uint8_t* row_flags);

// True if all levels have an entry in the codebook.
[[nodiscard]] bool are_in_codebook(std::span<const std::int32_t> levels, std::span<const std::int32_t> codebook,
                                   std::uint32_t zero);

// Replaces levels by float32 values in the same memory.
void dequantize_in_place(std::int32_t* levels, std::uint64_t size, double step, std::span<const std::int32_t> codebook,
                         std::uint32_t zero);

// Copies little-endian float32 values of a raw payload.
void copy_raw_values(std::span<const std::uint8_t> payload, void* values);

}  // namespace nnr
