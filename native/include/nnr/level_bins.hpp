// SPDX-License-Identifier: Apache-2.0
// The context-coded bins of one coded value, where there is no codebook.
// Clause: format 5.3.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "nnr/inline.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

// Which group of contexts a bin's belongs to.
enum class LevelBin : std::uint8_t { kSignificance, kSign, kGreater, kPrefix };

// Ones of the escape of a magnitude beyond the unary length; as many bypass bins follow.
[[nodiscard]] inline int prefix_length(std::int64_t magnitude, int unary_length) {
  return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(magnitude - unary_length))) - 1;
}

// Calls visit(group, context index as in ContextLayout, bin) in coding order.
template <class Visit>
NNR_INLINE void for_each_level_bin(const ContextLayout& layout, const Neighbourhood& near, std::int64_t value, Visit&& visit) {
  visit(LevelBin::kSignificance, near.significance(), value != 0);
  if (value == 0) return;
  const bool negative = value < 0;
  visit(LevelBin::kSign, near.sign(), negative);
  const std::int64_t magnitude = negative ? -value : value;
  const auto ones = static_cast<int>(std::min<std::int64_t>(magnitude - 1, layout.unary));
  for (int j = 0; j < ones; ++j) visit(LevelBin::kGreater, near.greater(layout, j, negative), true);
  if (ones < layout.unary) {
    visit(LevelBin::kGreater, near.greater(layout, ones, negative), false);
    return;
  }
  const int k = prefix_length(magnitude, layout.unary);
  for (int j = 0; j < k; ++j) visit(LevelBin::kPrefix, layout.prefix() + j, true);
  if (k < ContextLayout::kPrefixCount) visit(LevelBin::kPrefix, layout.prefix() + k, false);
}

}  // namespace nnr
