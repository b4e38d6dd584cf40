// SPDX-License-Identifier: Apache-2.0
#include "nnr/block_rows.hpp"

#include <algorithm>

#include "nnr/payload.hpp"
#include "nnr/tables.hpp"

namespace nnr {

BlockRows::BlockRows(std::span<const std::uint8_t> payload, const TensorCoding& coding,
                     std::span<const BlockRowStart> entry_points, std::uint64_t piece_levels)
    : payload_(payload), coding_(coding), source_(payload) {
  const std::uint64_t rows = coding.block_rows();
  if (rows < 2 || entry_points.size() != rows - 1 || !starts_in_range(source_)) return;
  if (TensorDecoder(source_, coding_).decode_side_data(side_) != Outcome::kOk || source_.offset() > 255) return;
  const std::uint64_t first = source_.bits_read() - FastEngine::kOffsetBits;
  const std::uint64_t end = std::uint64_t{8} * payload.size();
  starts_.push_back({first, source_.offset(), 0});
  for (const BlockRowStart& point : entry_points) {
    starts_.push_back({first + point.position, point.offset, point.state});
    const bool inside = point.position < end && starts_.back().position + FastEngine::kOffsetBits <= end;
    if (!inside || point.offset > 255 || point.state < 0 || point.state >= (coding.dependent ? kTrellisStates : 1)) return;
  }
  const std::uint64_t levels_of_row = coding.block_side() * coding.width;
  rows_of_piece_ = static_cast<std::size_t>(std::max<std::uint64_t>(1, piece_levels / levels_of_row));
  right_.resize((starts_.size() + rows_of_piece_ - 1) / rows_of_piece_);
}

std::size_t BlockRows::end_of(std::size_t piece) const { return std::min((piece + 1) * rows_of_piece_, starts_.size()); }

std::span<std::int32_t> BlockRows::levels_of(std::size_t piece, std::int32_t* levels) const {
  const std::uint64_t side = coding_.block_side();
  const std::uint64_t first = piece * rows_of_piece_ * side;
  const std::uint64_t last = std::min(end_of(piece) * side, coding_.rows);
  return {levels + first * coding_.width, static_cast<std::size_t>((last - first) * coding_.width)};
}

bool BlockRows::decode(std::size_t piece, std::int32_t* levels) {
  FastSource source = source_;
  for (std::size_t row = piece * rows_of_piece_; row < end_of(piece); ++row) {
    source.enter(starts_[row].position, starts_[row].offset);
    TensorDecoder decoder(source, coding_);
    if (decoder.decode_row_from(starts_[row].state, row, levels, side_) != Outcome::kOk) return false;
    if (row + 1 == starts_.size()) {
      if (finish_decoding(source, payload_) != Outcome::kOk) return false;
    } else {
      const BlockRowStart& next = starts_[row + 1];
      if (source.bits_read() - FastEngine::kOffsetBits != next.position || source.offset() != next.offset) return false;
      if (coding_.dependent && decoder.state() != next.state) return false;
    }
  }
  right_[piece] = 1;
  return true;
}

bool BlockRows::are_right() const {
  return count() > 0 && std::all_of(right_.begin(), right_.end(), [](std::uint8_t right) { return right != 0; });
}

}  // namespace nnr
