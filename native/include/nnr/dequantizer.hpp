// SPDX-License-Identifier: Apache-2.0
// Levels to values: float32 of the step times float32 of the level, one rounded multiplication.
// Clause: format 4.
#pragma once

#include <cstdint>
#include <span>

namespace nnr {

// The part of a tensor's quantisation that is not in its payload.
struct Quantization {
  int qp_density = 0;                       // 0..7
  std::int32_t quantization_parameter = 0;  // added to each tensor's qp_value
};

// Exact where binary64 is normal, infinite above, rounded to subnormals or 0 below.
[[nodiscard]] double step_size(std::int64_t qp, int qp_density);

// `values` may be the levels' own memory.
void dequantize(std::span<const std::int32_t> levels, double step, void* values);

}  // namespace nnr
