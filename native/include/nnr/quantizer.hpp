// SPDX-License-Identifier: Apache-2.0
// From weights to levels.
// Clause: format 4 and 5.4.
#pragma once

#include <cstdint>
#include <span>

#include "nnr/tensor_coding.hpp"

namespace nnr {

// Largest magnitude a quantiser produces: leaves room for the trellis to choose a neighbour.
inline constexpr double kMaxLevel = 2147483000.0;

// Both return the index of the first weight whose level would exceed kMaxLevel (or that is not finite), or weights.size().
// `step` is positive and finite; `levels` has weights.size() places.
std::size_t quantize_uniform(std::span<const float> weights, double step, std::int32_t* levels);

// Least squared error over the paths of the 8-state trellis, in the coding order of `coding` (its scan and shape).
std::size_t quantize_dependent(std::span<const float> weights, double step, const TensorCoding& coding, std::int32_t* levels);

}  // namespace nnr
