// SPDX-License-Identifier: Apache-2.0
// Quantisation that lets later weights of a row make up for the errors of earlier ones, with the bits counted in.
//
// A layer y = W x loses sum over rows of e H e', e a row of errors and H the mean of x x'. With H = V V', V upper triangular
// with diagonal v, that is sum over columns i of v[i]^2 * (e[i] + sum over j < i of e[j] * V[j][i] / v[i])^2: each weight is
// quantised as if it were its own value plus a correction by the errors before it, each square weighted by v[i]^2. The paths
// of the trellis differ in their errors, so each survivor carries its own corrections.
//
// The decision-feedback form of the sum is that of optimal brain surgeon (Hassibi and Stork 1993) and of successive
// interference cancellation; survivors with own corrections are per-survivor processing (Raheli et al. 1995).
// Clause: format 5.2 to 5.4.
#pragma once

#include <cstdint>
#include <span>

#include "nnr/tensor_coding.hpp"

namespace nnr {

struct FeedbackSettings {
  double lambda = 0;                                // what a bit is worth, in squared steps
  const float* coefficients = nullptr;              // [width][width]: at [i][j], j < i, V[j][i] / v[i]; the rest is not read
  const float* column_weights = nullptr;            // [width]: v[i]^2, with a mean around 1
  const float* row_weights = nullptr;               // [rows], or null for 1 everywhere
  int survivors = 1;                                // for each state of the quantiser
  int interval = 32;                                // weights decided at once; the survivors run so far ahead of them
  std::span<const std::uint8_t> initialisations{};  // as in TensorChoices
};

// Returns as quantize_dependent does. `coding` has no codebook, scan order 0 and no base.
std::size_t quantize_feedback(std::span<const float> weights, double step, const TensorCoding& coding,
                              const FeedbackSettings& settings, std::int32_t* levels);

}  // namespace nnr
