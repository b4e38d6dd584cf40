// SPDX-License-Identifier: Apache-2.0
// Quantisation with error feedback: later weights of a row compensate the errors of earlier ones, under a rate term.
//
// The loss of a layer y = W x is the sum over rows of e H e', where e is a row of errors and H the mean of x x'. With H = V V', V
// upper triangular with diagonal v, the loss is the sum over columns i of v[i]^2 * (e[i] + sum over j < i of e[j] * V[j][i] /
// v[i])^2. So each weight is quantised at its own value plus a correction by the errors before it, and its square is weighted by
// v[i]^2. The errors differ between the paths of the trellis, so each survivor holds its own corrections.
//
// The decision-feedback form of the sum is used by optimal brain surgeon (Hassibi and Stork 1993) and by successive interference
// cancellation; corrections per survivor are per-survivor processing (Raheli et al. 1995).
// Clause: format 5.2 to 5.4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nnr/tensor_coding.hpp"

namespace nnr {

struct FeedbackSettings {
  double lambda = 0;                      // cost of one bit, in squared steps, at least 0
  const float* coefficients = nullptr;    // [inputs][inputs]: V[j][i] / v[i] at [j][i] for j < i; other entries are not read
  const float* column_weights = nullptr;  // [inputs]: v[i]^2, with a mean around 1
  const float* row_weights = nullptr;     // [outputs], or null for 1 everywhere
  int survivors = 1;                      // per state of the quantiser, 1..16
  int interval = 32;                      // weights decided at a time, 8..65536; survivors run this far ahead of the decisions
  std::span<const std::uint8_t> initialisations{};  // as in TensorChoices
  bool inputs_first = false;                        // the tensor is [inputs][outputs], else [outputs][inputs]
  int lines = 1;  // rows searched in turns; above 1 for wide rows, which then end in state 0 of the quantiser
};

// Returns as the quantisers of quantizer.hpp do. `coding` has no codebook, no base, and scan order 0.
std::size_t quantize_feedback(std::span<const float> weights, double step, const TensorCoding& coding,
                              const FeedbackSettings& settings, std::int32_t* levels);

}  // namespace nnr
