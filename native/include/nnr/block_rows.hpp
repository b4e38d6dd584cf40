// SPDX-License-Identifier: Apache-2.0
// One tensor with entry points, its block rows decoded in any order by several threads. What an entry point says is believed
// until the row before it is decoded and ends elsewhere: then the whole has to be decoded straight through, as if there were none.
// Clause: format 5.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nnr/tensor_coding.hpp"
#include "nnr/tensor_decoder.hpp"

namespace nnr {

class BlockRows {
 public:
  // A payload of this one tensor, which builds on no other. `entry_points` say where all rows but the first start, their positions
  // being distances from where the first one does.
  BlockRows(std::span<const std::uint8_t> payload, const TensorCoding& coding, std::span<const BlockRowStart> entry_points);

  // Rows that can be decoded by decode(); none where entry points are too few or lie outside the payload.
  [[nodiscard]] std::size_t count() const { return starts_.size(); }
  // What the stream says before the first row; known where count() is not 0.
  [[nodiscard]] const TensorSideData& side() const { return side_; }
  // The levels of a row among those of the tensor.
  [[nodiscard]] std::span<std::int32_t> levels_of(std::size_t row, std::int32_t* levels) const;
  // Whether it ends where the next one starts, or the last one as a codeword must.
  bool decode(std::size_t row, std::int32_t* levels);
  // After all of them: whether they all do.
  [[nodiscard]] bool are_right() const;

 private:
  std::span<const std::uint8_t> payload_;
  TensorCoding coding_;
  TensorSideData side_;
  std::vector<BlockRowStart> starts_;
  std::vector<std::uint8_t> right_;  // by row
};

}  // namespace nnr
