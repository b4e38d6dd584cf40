// SPDX-License-Identifier: Apache-2.0
// What a bin costs, in fractions of a bit, from the same tables the coder divides its range with.
#pragma once

#include <array>
#include <cstdint>

#include "nnr/context_model.hpp"

namespace nnr {

// Costs are in units of 2^-15 bit: the sum over 2^48 bins still fits 64 bits.
inline constexpr int kCostBits = 15;
inline constexpr std::uint32_t kBypassCost = 1U << kCostBits;

struct BinCosts {
  std::array<std::uint32_t, 64> zero;  // by (S >> 7) + 32; the cost of a 0, that of a 1 below
  std::array<std::uint32_t, 64> one;
};

// Defined in src/rate.cpp: mean over the range of -log2 of the subinterval's share.
extern const BinCosts kBinCosts;

[[nodiscard]] inline std::uint32_t bin_cost(const ContextModel& context, bool bin) {
  const auto index = static_cast<unsigned>((context.state() >> 7) + 32) & 63U;
  return bin ? kBinCosts.one[index] : kBinCosts.zero[index];
}

}  // namespace nnr
