// SPDX-License-Identifier: Apache-2.0
#include "nnr/block_rows.hpp"

#include <algorithm>

#include "nnr/dependent_quantization.hpp"
#include "nnr/payload.hpp"
#include "nnr/tables.hpp"

namespace nnr {

BlockRows::BlockRows(std::span<const std::uint8_t> payload, const TensorCoding& coding,
                     std::span<const BlockRowStart> entry_points, const nnr_allocator& allocator, std::uint64_t piece_levels)
    : payload_(payload), coding_(coding), source_(payload) {
  const std::uint64_t rows = coding.block_rows();
  if (rows < 2 || entry_points.size() != rows - 1 || !offset_in_range(source_)) return;
  if (coding.has_row_skip_flag() && !row_flags_.allocate(allocator, coding.rows)) return;
  side_.row_skip_flags.data = row_flags_.data();
  if (LeanDecoder(source_, coding_).decode_side_data(side_) != Outcome::kOk || source_.offset() >= kRestartRange) return;
  const std::uint64_t first_position = source_.bits_read() - kRangeBits;
  const std::uint64_t end = std::uint64_t{8} * payload.size();
  if (!starts_.allocate(allocator, rows)) return;
  starts_[0] = {first_position, source_.offset(), 0};
  for (std::size_t i = 1; i < starts_.size(); ++i) {
    const BlockRowStart& point = entry_points[i - 1];
    starts_[i] = {first_position + point.position, point.offset, point.state};
    const bool inside = point.position < end && starts_[i].position + kRangeBits <= end;
    if (!inside || point.offset >= kRestartRange || point.state < 0 || point.state >= (coding.dependent ? kTrellisStates : 1))
      return;
  }
  const std::uint64_t levels_of_row = coding.block_side() * coding.width;
  rows_of_piece_ = static_cast<std::size_t>(std::max<std::uint64_t>(1, piece_levels / levels_of_row));
  if (!verified_.allocate(allocator, (starts_.size() + rows_of_piece_ - 1) / rows_of_piece_)) return;
  std::fill(verified_.begin(), verified_.end(), std::uint8_t{0});
}

std::size_t BlockRows::end_of(std::size_t piece) const { return std::min((piece + 1) * rows_of_piece_, starts_.size()); }

std::span<std::int32_t> BlockRows::levels_of(std::size_t piece, std::int32_t* levels) const {
  const std::uint64_t side = coding_.block_side();
  const std::uint64_t first = piece * rows_of_piece_ * side;
  const std::uint64_t last = std::min(end_of(piece) * side, coding_.rows);
  return {levels + first * coding_.width, static_cast<std::size_t>((last - first) * coding_.width)};
}

bool BlockRows::decode(std::size_t piece, std::int32_t* levels) {
  LeanSource source = source_;
  for (std::size_t row = piece * rows_of_piece_; row < end_of(piece); ++row) {
    source.seek(starts_[row].position, starts_[row].offset);
    LeanDecoder decoder(source, coding_);
    if (decoder.decode_block_row(starts_[row].state, row, levels, side_) != Outcome::kOk) return false;
    if (row + 1 == starts_.size()) {
      if (finish_decoding(source, payload_) != Outcome::kOk) return false;
    } else {
      const BlockRowStart& next = starts_[row + 1];
      const int state = coding_.dependent ? decoder.state() : next.state;
      if (BlockRowStart{source.bits_read() - kRangeBits, source.offset(), state} != next) return false;
    }
  }
  verified_[piece] = 1;
  return true;
}

bool BlockRows::all_verified() const {
  return count() > 0 && std::all_of(verified_.begin(), verified_.end(), [](std::uint8_t verified) { return verified != 0; });
}

}  // namespace nnr
