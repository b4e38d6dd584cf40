// SPDX-License-Identifier: Apache-2.0
// Parallel decoding of one tensor from the entry points of its block rows.
//
// The tensor is split into pieces of a few block rows each. Pieces decode in any order and on several threads. Each piece checks
// that its rows end in the state that the following entry point announces. When a check fails, the entry points are wrong, and
// the caller must decode the payload from its start.
// Clause: format 5.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nnr/lean_source.hpp"
#include "nnr/memory.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

class BlockRows {
 public:
  // Target size of a piece; a piece holds at least one block row. Far smaller pieces cost more to start than to decode.
  static constexpr std::uint64_t kPieceLevels = 1U << 13;

  // `payload` holds this one tensor and must outlive the object, as the allocator must. `coding` has no base. `entry_points`
  // holds the starts of all block rows but the first, with positions relative to the start of the first.
  BlockRows(std::span<const std::uint8_t> payload, const TensorCoding& coding, std::span<const BlockRowStart> entry_points,
            const nnr_allocator& allocator, std::uint64_t piece_levels = kPieceLevels);

  // Number of pieces; 0 when entry points are missing or lie outside the payload, or memory is short.
  [[nodiscard]] std::size_t count() const { return verified_.size(); }
  // Side data of the tensor; valid when count() is not 0.
  [[nodiscard]] const LeanSideData& side() const { return side_; }
  // The levels of a piece, as a part of the tensor's `levels`.
  [[nodiscard]] std::span<std::int32_t> levels_of(std::size_t piece, std::int32_t* levels) const;
  // Decodes a piece. Returns whether its rows decode and end as the next entry point, or the end of the codeword, requires. Calls
  // for different pieces may run concurrently.
  bool decode(std::size_t piece, std::int32_t* levels);
  // True when every piece was decoded and verified.
  [[nodiscard]] bool all_verified() const;

 private:
  // One past the last block row of a piece.
  [[nodiscard]] std::size_t end_of(std::size_t piece) const;

  std::span<const std::uint8_t> payload_;
  TensorCoding coding_;
  Buffer<std::uint8_t> row_flags_;
  LeanSideData side_;
  LeanSource source_;  // at the start of the first block row, with the contexts that every row starts from
  Buffer<BlockRowStart> starts_;
  std::size_t rows_of_piece_ = 1;
  Buffer<std::uint8_t> verified_;  // by piece, 1 when decode() succeeded
};

}  // namespace nnr
