// SPDX-License-Identifier: Apache-2.0
// The cost of a bin in fractions of a bit, from the tables by which the coder divides its range.
// Clause: format 5.1 and 6.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "nnr/context_model.hpp"

namespace nnr {

// Costs are in units of 2^-15 bit, so that the sum over 2^45 bins fits 63 bits.
inline constexpr int kCostBits = 15;
inline constexpr std::uint32_t kBypassCost = 1U << kCostBits;

struct BinCosts {
  // By ContextModel::state_index(), each below 2^18.
  std::array<std::uint32_t, ContextModel::kStateIndices> zero;  // cost of a 0
  std::array<std::uint32_t, ContextModel::kStateIndices> one;   // cost of a 1
};

// Mean of -log2 of the subinterval's share, over the distribution of the range. Computed in src/rate.cpp.
extern const BinCosts kBinCosts;

[[nodiscard]] inline std::uint32_t bin_cost(const ContextModel& context, bool bin) {
  const std::size_t index = context.state_index();
  return bin ? kBinCosts.one[index] : kBinCosts.zero[index];
}

}  // namespace nnr
