// SPDX-License-Identifier: Apache-2.0
// Quantisation without a rate term: nearest levels, and the trellis search of dependent quantisation.
// Clause: format 4 and 5.4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nnr/tensor_coding.hpp"

namespace nnr {

// Largest magnitude of |weight| / step. The margin to 2^31 lets a trellis choose a neighbouring level.
inline constexpr double kMaxLevel = 2147483000.0;

// Index of the first weight that is not finite or whose magnitude exceeds `largest` steps; weights.size() if there is none.
[[nodiscard]] std::size_t find_out_of_range(std::span<const float> weights, double step, double largest = kMaxLevel);

// All quantisers return find_out_of_range(weights, step), and write no levels unless that is weights.size(). `step` is positive
// and finite, in units of the weights; `levels` has room for weights.size() values.

// Nearest level of each weight, ties to even.
std::size_t quantize_uniform(std::span<const float> weights, double step, std::int32_t* levels);

// Levels of least squared error over the paths of the 8-state trellis, in the coding order of `coding`, whose size is
// weights.size().
std::size_t quantize_dependent(std::span<const float> weights, double step, const TensorCoding& coding, std::int32_t* levels);

}  // namespace nnr
