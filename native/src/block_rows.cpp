// SPDX-License-Identifier: Apache-2.0
#include "nnr/block_rows.hpp"

#include <algorithm>

#include "nnr/fast_source.hpp"
#include "nnr/payload.hpp"
#include "nnr/tables.hpp"

namespace nnr {

BlockRows::BlockRows(std::span<const std::uint8_t> payload, const TensorCoding& coding, std::span<const BlockRowStart> entry_points)
    : payload_(payload), coding_(coding) {
  const std::uint64_t rows = coding.block_rows();
  if (rows < 2 || entry_points.size() != rows - 1) return;
  FastSource source{payload};
  TensorDecoder decoder(source, coding_);
  if (decoder.decode_side_data(side_) != Outcome::kOk || source.offset() > 255) return;
  const std::uint64_t first = source.bits_read() - FastEngine::kOffsetBits;
  starts_.push_back({first, source.offset(), 0});
  for (const BlockRowStart& point : entry_points) {
    starts_.push_back({first + point.position, point.offset, point.state});
    const bool inside = starts_.back().position + FastEngine::kOffsetBits <= 8 * payload.size();
    if (!inside || point.offset > 255 || point.state < 0 || point.state >= (coding.dependent ? kTrellisStates : 1)) {
      starts_.clear();
      return;
    }
  }
  right_.resize(starts_.size());
}

std::span<std::int32_t> BlockRows::levels_of(std::size_t row, std::int32_t* levels) const {
  const std::uint64_t side = coding_.block_side();
  const std::uint64_t rows = std::min(side, coding_.rows - row * side);
  return {levels + row * side * coding_.width, rows * coding_.width};
}

bool BlockRows::decode(std::size_t row, std::int32_t* levels) {
  FastSource source(payload_, starts_[row].position, starts_[row].offset);
  TensorDecoder decoder(source, coding_);
  decoder.initialise_contexts(side_);
  if (decoder.decode_from(starts_[row].state, row, levels, side_) != Outcome::kOk) return false;
  if (row + 1 == count()) {
    right_[row] = finish_decoding(source, payload_) == Outcome::kOk;
  } else {
    const BlockRowStart& next = starts_[row + 1];
    right_[row] = source.bits_read() - FastEngine::kOffsetBits == next.position && source.offset() == next.offset &&
                  (!coding_.dependent || decoder.state() == next.state);
  }
  return right_[row] != 0;
}

bool BlockRows::are_right() const {
  return count() > 0 && std::all_of(right_.begin(), right_.end(), [](std::uint8_t right) { return right != 0; });
}

}  // namespace nnr
