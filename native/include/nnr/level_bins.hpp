// SPDX-License-Identifier: Apache-2.0
// The context-coded bins of one coded value, without a codebook. Quantisers price and adapt contexts by them.
// Clause: format 5.3.
#pragma once

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdint>

#include "nnr/inline.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

// The group of contexts that a bin's context belongs to.
enum class LevelBin : std::uint8_t { kSignificance, kSign, kGreater, kPrefix };

// Number of ones in the Exp-Golomb prefix of a magnitude beyond the unary length; as many bypass bins follow. 0..31.
[[nodiscard]] inline int prefix_length(std::int64_t magnitude, int unary_length) {
  assert(magnitude > unary_length);
  return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(magnitude - unary_length))) - 1;
}

// Calls visit(group, context index as in ContextLayout, bin) in coding order.
template <class Visit>
NNR_INLINE void for_each_level_bin(const ContextLayout& layout, const Neighbourhood& neighbourhood, std::int64_t value,
                                   Visit&& visit) {
  visit(LevelBin::kSignificance, neighbourhood.significance(), value != 0);
  if (value == 0) return;
  const bool negative = value < 0;
  visit(LevelBin::kSign, neighbourhood.sign(), negative);
  const std::int64_t magnitude = negative ? -value : value;
  const auto ones = static_cast<int>(std::min<std::int64_t>(magnitude - 1, layout.unary));
  for (int j = 0; j < ones; ++j) visit(LevelBin::kGreater, neighbourhood.greater(layout, j, negative), true);
  if (ones < layout.unary) {
    visit(LevelBin::kGreater, neighbourhood.greater(layout, ones, negative), false);
    return;
  }
  const int k = prefix_length(magnitude, layout.unary);
  for (int j = 0; j < k; ++j) visit(LevelBin::kPrefix, layout.prefix() + j, true);
  if (k < ContextLayout::kPrefixCount) visit(LevelBin::kPrefix, layout.prefix() + k, false);
}

}  // namespace nnr
