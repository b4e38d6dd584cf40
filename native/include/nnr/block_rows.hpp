// SPDX-License-Identifier: Apache-2.0
// One tensor with entry points, decoded in pieces of some block rows each, in any order and by several threads. What an entry
// point says is believed until the row before it is decoded and ends elsewhere: then the whole has to be decoded straight
// through, as if there were none. Clause: format 5.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nnr/fast_source.hpp"
#include "nnr/tensor_coding.hpp"
#include "nnr/tensor_decoder.hpp"

namespace nnr {

class BlockRows {
 public:
  // About so many levels to a piece, or one row if it has more: far fewer take less time than beginning a piece.
  static constexpr std::uint64_t kPieceLevels = 1U << 13;

  // A payload of this one tensor, which builds on no other. `entry_points` say where all rows but the first start, their
  // positions being distances from where the first one does.
  BlockRows(std::span<const std::uint8_t> payload, const TensorCoding& coding, std::span<const BlockRowStart> entry_points,
            std::uint64_t piece_levels = kPieceLevels);

  // Pieces for decode(); none where entry points are too few or lie outside the payload.
  [[nodiscard]] std::size_t count() const { return right_.size(); }
  // What the stream says before the first row; known where count() is not 0.
  [[nodiscard]] const TensorSideData& side() const { return side_; }
  // The levels of a piece among those of the tensor.
  [[nodiscard]] std::span<std::int32_t> levels_of(std::size_t piece, std::int32_t* levels) const;
  // Whether its rows end where the next ones start, and the last one as a codeword must.
  bool decode(std::size_t piece, std::int32_t* levels);
  // After all of them: whether they all do.
  [[nodiscard]] bool are_right() const;

 private:
  [[nodiscard]] std::size_t end_of(std::size_t piece) const;

  std::span<const std::uint8_t> payload_;
  TensorCoding coding_;
  TensorSideData side_;
  FastSource source_;  // at the first row, its contexts as each row starts with them
  std::vector<BlockRowStart> starts_;
  std::size_t rows_of_piece_ = 1;
  std::vector<std::uint8_t> right_;  // by piece
};

}  // namespace nnr
