// SPDX-License-Identifier: Apache-2.0
// The order in which a tensor's levels are coded, as runs of neighbours in one row.
// Clause: format 5.5.
#pragma once

#include <algorithm>
#include <cstdint>

#include "nnr/tensor_coding.hpp"

namespace nnr {

struct Segment {
  std::uint64_t row = 0;
  std::uint64_t begin = 0;  // first position, counted row-major through the tensor
  std::uint64_t length = 0;
};

// Calls visit(segment) -> bool for each segment of one block row, until it returns false.
template <class Visit>
bool for_each_segment(const TensorCoding& coding, std::uint64_t block_row, Visit&& visit) {
  const std::uint64_t side = coding.block_side();
  if (side == 0) {
    if (!coding.two_dimensional()) return visit(Segment{0, 0, coding.size()});
    for (std::uint64_t row = 0; row < coding.rows; ++row)
      if (!visit(Segment{row, row * coding.width, coding.width})) return false;
    return true;
  }
  const std::uint64_t first = block_row * side;
  const std::uint64_t last = std::min(first + side, coding.rows);
  for (std::uint64_t column = 0; column < coding.width; column += side)
    for (std::uint64_t row = first; row < last; ++row)
      if (!visit(Segment{row, row * coding.width + column, std::min(side, coding.width - column)})) return false;
  return true;
}

}  // namespace nnr
