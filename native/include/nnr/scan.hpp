// SPDX-License-Identifier: Apache-2.0
// The coding order of a tensor's levels, as segments of neighbouring positions in one row.
// Clause: format 5.5.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>

#include "nnr/tensor_coding.hpp"

namespace nnr {

struct Segment {
  std::uint64_t row = 0;
  std::uint64_t begin = 0;  // position of the first level, row-major within the tensor
  std::uint64_t length = 0;
};

// Calls visit(segment) -> bool for each segment of one block row, until it returns false. Returns whether it never did.
template <class Visit>
bool for_each_segment(const TensorCoding& coding, std::uint64_t block_row, Visit&& visit) {
  assert(block_row < coding.block_rows());
  const std::uint64_t side = coding.block_side();
  if (side == 0) {
    if (!coding.two_dimensional()) return visit(Segment{0, 0, coding.size()});
    for (std::uint64_t row = 0; row < coding.rows; ++row)
      if (!visit(Segment{row, row * coding.width, coding.width})) return false;
    return true;
  }
  const std::uint64_t begin = block_row * side;
  const std::uint64_t end = std::min(begin + side, coding.rows);
  for (std::uint64_t column = 0; column < coding.width; column += side)
    for (std::uint64_t row = begin; row < end; ++row)
      if (!visit(Segment{row, row * coding.width + column, std::min(side, coding.width - column)})) return false;
  return true;
}

// Calls visit(segment) for each segment of the tensor, in coding order.
template <class Visit>
void for_each_segment_of_tensor(const TensorCoding& coding, Visit&& visit) {
  for (std::uint64_t block_row = 0; block_row < coding.block_rows(); ++block_row)
    for_each_segment(coding, block_row, [&](const Segment& segment) {
      visit(segment);
      return true;
    });
}

}  // namespace nnr
