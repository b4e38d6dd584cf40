// SPDX-License-Identifier: Apache-2.0
// Rate-distortion optimised quantisation: minimises squared error + lambda * bits, where bits are the cost under the tensor's own
// adaptive contexts.
// Clause: format 5.2 to 5.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nnr/tensor_coding.hpp"
#include "nnr/work_queue.hpp"

namespace nnr {

struct RdoSettings {
  double lambda = 0;     // cost of one bit, in squared steps, at least 0; 0 minimises the squared error alone
  bool adaptive = true;  // each path adapts its contexts; otherwise they keep their initial states
  // Width of the beam, above 0. A path is dropped when its cost exceeds the least by beam * (max(1, largest importance) +
  // lambda), in squared steps. Smaller is faster; at 4 the loss is below what can be measured.
  float beam = 4.0F;
  // Weights over which the rates of all paths are the same, at least 1; 0 if each path has its own contexts, as it always has
  // without dependent quantisation and beside earlier updates.
  int interval = 0;
  const float* importance = nullptr;  // [weights] factor of each squared error, at least 0; null for 1 everywhere
  bool history_enabled = false;
  bool row_skip = false;                            // whole rows may become zero and be skipped; ignored in block scans
  std::span<const std::uint8_t> initialisations{};  // as in TensorChoices
  WorkQueue* queue = nullptr;                       // threads that share a search with an interval; null for the caller's alone
};

// Runs a Viterbi search over the states of the quantiser (8, or 1 without dependent quantisation). Each state is split by whether
// the level before was zero, on which the next significance context depends. The candidates are zero and the values next to each
// weight. Returns as the quantisers of quantizer.hpp do. `coding` has no codebook.
std::size_t quantize_rdo(std::span<const float> weights, double step, const TensorCoding& coding, const RdoSettings& settings,
                         std::int32_t* levels);

}  // namespace nnr
