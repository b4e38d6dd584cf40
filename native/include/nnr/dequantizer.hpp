// SPDX-License-Identifier: Apache-2.0
// Dequantisation: step sizes from quantisation parameters, and values from levels. Results are bit-exact on every machine.
// Clause: format 4.
#pragma once

#include <cstdint>
#include <span>

namespace nnr {

// The step size of a quantisation parameter: (1 + (qp mod 2^d) / 2^d) * 2^floor(qp / 2^d), with d = qp_density, 0..7. Exact in
// the normal range of binary64, infinite above it, and rounded to subnormals or 0 below it.
[[nodiscard]] double step_size(std::int64_t qp, int qp_density);

// Writes levels.size() float32 values, each float32(step) * float32(level) in one rounded multiplication. `values` needs no
// alignment and may be the memory of the levels.
void dequantize(std::span<const std::int32_t> levels, double step, void* values);

}  // namespace nnr
