// SPDX-License-Identifier: Apache-2.0
// The syntax of one tensor, read once over a Source of bins: the fast decoder, the reference decoder, or a probe that records
// costs and states.
//
// A Source has regular(context_index), bypass(), bypass_bins(count), restart_range(), initialise(context_index, index),
// reset_contexts(), overrun(), bits_read() and offset(). A Source that also has decode_levels() decodes whole segments of levels
// itself.
// Clause: format 5.3 to 5.6.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include "nnr/dependent_quantization.hpp"
#include "nnr/scan.hpp"
#include "nnr/status.hpp"
#include "nnr/tables.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

// The decoder's state at the start of a block row: the content of an entry point.
struct BlockRowStart {
  std::uint64_t position = 0;  // bits read less kRangeBits, from the codeword's start
  std::uint32_t offset = 0;    // of the arithmetic decoder, below kRestartRange
  int state = 0;               // of dependent quantisation

  friend bool operator==(const BlockRowStart&, const BlockRowStart&) = default;
};

// Everything that the stream carries for a tensor besides its levels.
struct TensorSideData {
  std::int32_t qp_value = 0;
  bool history_enabled = false;
  bool row_skip_enabled = false;
  std::vector<std::uint8_t> row_skip_flags;     // one per row when enabled
  std::vector<std::uint8_t> initialisations;    // one per context of for_each_initialised_context, 0 where none was sent
  std::vector<BlockRowStart> block_row_starts;  // entry points give positions relative to the first one's

  friend bool operator==(const TensorSideData&, const TensorSideData&) = default;
};

// `Side` is TensorSideData or has its members.
template <class Source, class Side = TensorSideData>
class TensorDecoder {
 public:
  // `source` and `coding` must outlive the decoder.
  TensorDecoder(Source& source, const TensorCoding& coding) : source_(source), coding_(coding), layout_(coding.unary_length) {}

  // Decodes everything from qp_value to the last level. `levels` has room for coding.size() values, all written on success.
  Outcome decode(std::int32_t* levels, Side& side) {
    if (const Outcome outcome = decode_side_data(side); outcome != Outcome::kOk) return outcome;
    for (std::uint64_t block_row = 0; block_row < coding_.block_rows(); ++block_row) {
      if (block_row > 0) source_.reset_contexts();
      if (coding_.block_rows() > 1)
        side.block_row_starts.push_back({source_.bits_read() - kRangeBits, source_.offset(), neighbourhood_.state});
      const Outcome outcome = decode_block_row(neighbourhood_.state, block_row, levels, side);
      if (outcome != Outcome::kOk) return outcome;
    }
    return Outcome::kOk;
  }

  // Decodes what precedes the levels, and initialises the contexts accordingly.
  Outcome decode_side_data(Side& side) {
    read_side_data(side);
    return source_.overrun() ? Outcome::kTruncated : Outcome::kOk;
  }

  // Decodes one block row from a state of dependent quantisation. The source stands at its start, with initialised contexts.
  Outcome decode_block_row(int state, std::uint64_t block_row, std::int32_t* levels, const Side& side) {
    assert(state >= 0 && state < kTrellisStates);
    neighbourhood_ = {.state = state};
    if (coding_.block_rows() > 1 && !source_.restart_range()) return rejected(Outcome::kOffsetAboveRange);
    return decode_segments(block_row, levels, side);
  }

  // The state of dependent quantisation after the last decoded level.
  [[nodiscard]] int state() const { return neighbourhood_.state; }

 private:
  static constexpr std::uint64_t kCheckInterval = TensorCoding::kOverrunCheckInterval;

  Outcome decode_segments(std::uint64_t block_row, std::int32_t* levels, const Side& side) {
    if (coding_.block_side() == 0 && !side.row_skip_enabled)
      return decode_segment(Segment{0, 0, coding_.size()}, levels, side.history_enabled);
    Outcome outcome = Outcome::kOk;
    for_each_segment(coding_, block_row, [&](const Segment& segment) {
      if (side.row_skip_enabled && side.row_skip_flags[segment.row] != 0) {
        std::fill_n(levels + segment.begin, segment.length, 0);
        if (coding_.dependent) neighbourhood_.state = state_after_zeros(neighbourhood_.state, coding_.width);
        return true;
      }
      outcome = decode_segment(segment, levels, side.history_enabled);
      return outcome == Outcome::kOk;
    });
    return outcome;
  }

  // After an overrun every other fault is a consequence of it.
  Outcome rejected(Outcome outcome) { return source_.overrun() ? Outcome::kTruncated : outcome; }

  void read_side_data(Side& side) {
    if (coding_.qp_bits > 0) {
      const std::uint32_t bins = source_.bypass_bins(coding_.qp_bits);
      const int unused = 32 - coding_.qp_bits;
      side.qp_value = static_cast<std::int32_t>(bins << unused) >> unused;
    }
    for (int i = 0; i < layout_.count(); ++i) source_.initialise(i, 0);
    if (coding_.has_row_skip_flag()) {
      if (coding_.has_history_flag()) side.history_enabled = source_.bypass();
      side.row_skip_enabled = source_.bypass();
      if (side.row_skip_enabled) {
        side.row_skip_flags.resize(coding_.rows);
        for (std::uint64_t row = 0; row < coding_.rows; ++row) {
          if (row % kCheckInterval == 0 && source_.overrun()) return;
          side.row_skip_flags[row] = source_.regular(layout_.row_skip()) ? 1 : 0;
        }
      }
    }
    for_each_initialised_context(coding_, coding_.base != nullptr, side.history_enabled, [&](int index) {
      std::uint8_t initialisation = 0;
      if (source_.regular(layout_.parameter_flag())) {
        initialisation = static_cast<std::uint8_t>(source_.bypass_bins(3) + 1);
        source_.initialise(index, initialisation);
      }
      side.initialisations.push_back(initialisation);
    });
  }

  Outcome decode_segment(const Segment& segment, std::int32_t* levels, bool history) {
    if constexpr (requires { source_.decode_levels(coding_, neighbourhood_, history, segment, levels); })
      if (coding_.codebook_size != 1) return source_.decode_levels(coding_, neighbourhood_, history, segment, levels);
    return coding_.codebook_size > 0 ? decode_by_bins<true>(segment, levels, history)
                                     : decode_by_bins<false>(segment, levels, history);
  }

  template <bool kCodebook>
  Outcome decode_by_bins(const Segment& segment, std::int32_t* levels, bool history) {
    for (std::uint64_t i = segment.begin; i < segment.begin + segment.length; ++i) {
      neighbourhood_.locate(coding_, history, i);
      const std::int64_t value = decode_value<kCodebook>();
      if constexpr (kCodebook)
        if (std::abs(value) > coding_.codebook_limit(value < 0)) return rejected(Outcome::kNotInCodebook);
      neighbourhood_.previous = value;
      std::int64_t level = value;
      if (coding_.dependent) {
        level = value_to_level(value, neighbourhood_.state);
        neighbourhood_.state = next_state(neighbourhood_.state, value);
      }
      if (level < std::numeric_limits<std::int32_t>::min() || level > std::numeric_limits<std::int32_t>::max())
        return rejected(Outcome::kLevelOverflow);
      levels[i] = static_cast<std::int32_t>(level);
      if (i % kCheckInterval == 0 && source_.overrun()) return Outcome::kTruncated;
    }
    return source_.overrun() ? Outcome::kTruncated : Outcome::kOk;
  }

  template <bool kCodebook>
  std::int64_t decode_value() {
    if constexpr (kCodebook)
      if (coding_.codebook_size == 1) return 0;
    if (!source_.regular(neighbourhood_.significance())) return 0;
    const bool one_sided = kCodebook && coding_.one_sided();
    const bool negative = one_sided ? coding_.codebook_zero != 0 : source_.regular(neighbourhood_.sign());
    const std::int64_t limit = kCodebook ? coding_.codebook_limit(negative) : std::numeric_limits<std::int64_t>::max();
    std::int64_t magnitude = 1;
    bool greater = limit > 1;
    for (int j = 0; greater && j < layout_.unary && magnitude < limit; ++j) {
      greater = source_.regular(neighbourhood_.greater(layout_, j, negative));
      magnitude += greater ? 1 : 0;
    }
    if (greater && magnitude < limit) magnitude = decode_escape(magnitude, limit);
    return negative ? -magnitude : magnitude;
  }

  // Decodes the Exp-Golomb code of a magnitude, of which `magnitude` is known; `limit` shortens it under a codebook.
  std::int64_t decode_escape(std::int64_t magnitude, std::int64_t limit) {
    int k = 0;
    for (int j = 0; j < ContextLayout::kPrefixCount; ++j) {
      if (!source_.regular(layout_.prefix() + j)) break;
      magnitude += std::int64_t{1} << k;
      ++k;
      if (limit - magnitude < (std::int64_t{1} << k)) break;
    }
    return magnitude + source_.bypass_bins(k);
  }

  Source& source_;
  const TensorCoding& coding_;
  const ContextLayout layout_;
  Neighbourhood neighbourhood_;
};

}  // namespace nnr
