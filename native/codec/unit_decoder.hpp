// SPDX-License-Identifier: Apache-2.0
// Decoding of one data unit: its payload to levels, and levels to values. It needs nothing but the unit and the tensors that the
// unit updates, so that any thread can do it.
// Clause: format 3.5, 4, 5.
#pragma once

#include <cstdint>
#include <span>

#include "coded_unit.hpp"
#include "nnr/tensor_coding.hpp"
#include "update_tree.hpp"

namespace nnr {

// Tensors of a unit at most: those of a block with all parts.
inline constexpr std::size_t kMaxTensors = 9;

// Coding of a tensor, in the order of data. `previous` is the same tensor of the unit that is updated; null without one.
[[nodiscard]] TensorCoding coding_of(const CodedUnit& unit, std::size_t tensor, const RememberedTensor* previous);

// Decodes the levels of a unit that is not raw. In the order of data, `levels` has room for each tensor's elements, and
// `qp_values` receives the quantisation parameters. Faults are in the coordinates of the unit's buffer.
[[nodiscard]] Fault decode_levels(const CodedUnit& unit, std::span<const RememberedTensor> previous,
                                  std::span<std::int32_t* const> levels, std::span<std::int32_t> qp_values,
                                  const nnr_allocator& allocator);
// Faults of a unit that updates tensors of other shapes.
[[nodiscard]] Fault check_shapes(const CodedUnit& unit, std::span<const RememberedTensor> previous);
// Faults of a unit before its codeword: no quantisation is known.
[[nodiscard]] Fault check_quantisation(const CodedUnit& unit);
// Faults of decoded levels: one lies outside the codebook.
[[nodiscard]] Fault check_levels(const CodedUnit& unit, std::size_t tensor, std::span<const std::int32_t> levels);
// Replaces the levels of a tensor that is not integer by float32 values.
void dequantize_levels(const CodedUnit& unit, std::size_t tensor, std::int32_t qp, std::span<std::int32_t> levels);

// Copies the values of a raw unit, unless `values` is null.
[[nodiscard]] Fault read_raw_values(const CodedUnit& unit, void* values);

}  // namespace nnr
