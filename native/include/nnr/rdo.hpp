// SPDX-License-Identifier: Apache-2.0
// Quantisation for the least squared error plus lambda times bits, the bits being those the tensor's own adaptive
// contexts will charge.
// Clause: format 5.2 to 5.5.
#pragma once

#include <cstdint>
#include <span>

#include "nnr/tensor_coding.hpp"

namespace nnr {

struct RdoSettings {
  double lambda = 0;     // what a bit is worth, in squared steps; 0 gives the least squared error
  bool adaptive = true;  // whether each path adapts its contexts; otherwise they stay as they start
  // Squared steps, and as many bits, by which a path lags when it is given up: time against size. 4 loses nothing measurable.
  float beam = 4.0F;
  const float* importance = nullptr;  // not negative; multiplies each weight's squared error; null for 1 everywhere
  bool history_enabled = false;
  bool row_skip = false;                            // whether whole rows may be given up; ignored in block scans
  std::span<const std::uint8_t> initialisations{};  // as in TensorChoices
};

// Finds the levels by a Viterbi search over the states of the quantiser (8, or 1 without dependent quantisation), each
// split by whether the level before was zero, which the next significance context depends on. Candidates are the values
// next to each weight, and zero.
// Returns as quantize_dependent does. `coding` has no codebook; `levels` has weights.size() places.
std::size_t quantize_rdo(std::span<const float> weights, double step, const TensorCoding& coding, const RdoSettings& settings,
                         std::int32_t* levels);

}  // namespace nnr
