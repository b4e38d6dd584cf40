// SPDX-License-Identifier: Apache-2.0
// Rate-distortion optimised dependent quantisation with contexts that all paths share: rates are fixed over an interval of
// weights, and the contexts then adapt along the cheapest path.
//
// A tensor is cut into blocks. The search around each cut decides the node there and the contexts with which the next block
// starts, so that blocks are independent and always join.
// Clause: format 5.2 to 5.5.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnr/rate_tables.hpp"
#include "nnr/rdo.hpp"
#include "nnr/shared_trellis.hpp"

namespace nnr {

// A tensor's arrays in coding order, not owned. All but the weights may be null.
struct OrderedTensor {
  const float* weights = nullptr;
  const float* importance = nullptr;
  const std::int32_t* base = nullptr;
  const std::uint8_t* history = nullptr;
};

// A node of the trellis.
struct TrellisNode {
  std::size_t kind = 0;  // 1 if the value before was not zero
  std::size_t state = 0;
};

// True if the search can quantise a tensor: with dependent quantisation and without earlier updates.
[[nodiscard]] bool can_share_contexts(const TensorCoding& coding, bool history_enabled);

class SharedSearch {
 public:
  // `tensor`, `coding` and `settings` must outlive the search. `largest` is the largest magnitude of a weight.
  SharedSearch(const OrderedTensor& tensor, double step, const TensorCoding& coding, const RdoSettings& settings, float largest);

  // Number of blocks, and the first weight of each; begin_of(blocks()) is the number of weights.
  [[nodiscard]] std::size_t blocks() const;
  [[nodiscard]] std::uint64_t begin_of(std::size_t block) const;

  // The state of the search where a block begins.
  struct Start {
    TrellisNode node;
    RateTables rates;
    Neighbourhood neighbourhood;
  };
  // Decides the start of a block from the weights around it.
  [[nodiscard]] Start start_of(std::size_t block) const;

  // Writes the coded values of one block. `after` is the start of the next block, null for the last one.
  void run(std::size_t block, const Start& start, const Start* after, std::int32_t* values) const;

 private:
  class Walk;

  const OrderedTensor& tensor_;
  const CandidateScale scale_;
  const TensorCoding& coding_;
  const RdoSettings& settings_;
  const std::uint64_t block_row_size_;  // levels of a block row; 0 without block scans
  const std::int64_t largest_;          // bound of the magnitudes
};

}  // namespace nnr
