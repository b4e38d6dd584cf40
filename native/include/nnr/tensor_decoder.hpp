// SPDX-License-Identifier: Apache-2.0
// One tensor's levels out of the arithmetic decoder. Written once over a Source of bins, so that the plain engine and the
// probes that count bits or record states all run the same grammar.
//
// A Source offers regular(context_index), bypass(), bypass_bins(count), restart_range(), initialise(context_index, index),
// reset_contexts(), overrun() and bits_read(). One that offers decode_levels() too is given whole runs of levels.
// Clause: format 5.3 to 5.6.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include "nnr/scan.hpp"
#include "nnr/status.hpp"
#include "nnr/tables.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

// Where a block row starts: what an entry point says of it.
struct BlockRowStart {
  std::uint64_t position = 0;  // bits read less 9, from the codeword's start
  std::uint32_t offset = 0;    // of the arithmetic decoder, its range being 256
  int state = 0;               // of dependent quantisation
};

// What the stream says of a tensor besides its levels.
struct TensorSideData {
  std::int32_t qp_value = 0;
  bool history_enabled = false;
  bool row_skip_enabled = false;
  std::vector<std::uint8_t> row_skip_flags;      // one per row when enabled
  std::vector<std::uint8_t> initialisations;     // one per context of for_each_initialised_context, 0 where none was sent
  std::vector<BlockRowStart> block_row_starts;   // the first one's position is what the others' deltas start from
};

// Side has the members of TensorSideData, and may keep less of what they are given.
template <class Source, class Side = TensorSideData>
class TensorDecoder {
 public:
  TensorDecoder(Source& source, const TensorCoding& coding)
      : source_(source), coding_(coding), layout_(coding.unary_length) {}

  // Everything from qp_value to the last level. `levels` holds coding.size() values and is fully written on success.
  Outcome decode(std::int32_t* levels, Side& side) {
    if (const Outcome outcome = decode_side_data(side); outcome != Outcome::kOk) return outcome;
    for (std::uint64_t block_row = 0; block_row < coding_.block_rows(); ++block_row) {
      if (block_row > 0) source_.reset_contexts();
      if (coding_.block_rows() > 1) side.block_row_starts.push_back({source_.bits_read() - 9, source_.offset(), near_.state});
      if (const Outcome outcome = decode_row_from(near_.state, block_row, levels, side); outcome != Outcome::kOk) return outcome;
    }
    return Outcome::kOk;
  }

  // What comes before the levels, and the contexts as it says they start.
  Outcome decode_side_data(Side& side) {
    read_side_data(side);
    return source_.overrun() ? Outcome::kTruncated : Outcome::kOk;
  }

  // A block row, the source standing where it starts with its contexts initialised, from this state of dependent quantisation.
  Outcome decode_row_from(int state, std::uint64_t block_row, std::int32_t* levels, const Side& side) {
    near_ = {.state = state};
    if (coding_.block_rows() > 1 && !source_.restart_range()) return rejected(Outcome::kOffsetAboveRange);
    return decode_block_row(block_row, levels, side);
  }

  // Of dependent quantisation, after what was decoded last.
  [[nodiscard]] int state() const { return near_.state; }

 private:
  static constexpr std::uint64_t kCheckInterval = TensorCoding::kOverrunCheckInterval;

  Outcome decode_block_row(std::uint64_t block_row, std::int32_t* levels, const Side& side) {
    if (coding_.block_side() == 0 && !side.row_skip_enabled)
      return decode_segment(Segment{0, 0, coding_.size()}, levels, side.history_enabled);
    Outcome outcome = Outcome::kOk;
    for_each_segment(coding_, block_row, [&](const Segment& segment) {
      if (side.row_skip_enabled && side.row_skip_flags[segment.row] != 0) {
        std::fill_n(levels + segment.begin, segment.length, 0);
        if (coding_.dependent) advance_over_zeros(coding_.width);
        return true;
      }
      outcome = decode_segment(segment, levels, side.history_enabled);
      return outcome == Outcome::kOk;
    });
    return outcome;
  }

  // Past the end of the codeword nothing decoded means anything: the overrun is the fault to report.
  Outcome rejected(Outcome outcome) { return source_.overrun() ? Outcome::kTruncated : outcome; }

  void read_side_data(Side& side) {
    if (coding_.qp_bits > 0) {
      const std::uint32_t bins = source_.bypass_bins(coding_.qp_bits);
      const int unused = 32 - coding_.qp_bits;
      side.qp_value = static_cast<std::int32_t>(bins << unused) >> unused;
    }
    for (int i = 0; i < layout_.count(); ++i) source_.initialise(i, 0);
    if (coding_.has_row_skip_flag()) {
      if (coding_.parent_present) side.history_enabled = source_.bypass();
      side.row_skip_enabled = source_.bypass();
      if (side.row_skip_enabled) {
        side.row_skip_flags.resize(coding_.rows);
        for (std::uint64_t row = 0; row < coding_.rows; ++row) {
          if (row % kCheckInterval == 0 && source_.overrun()) return;
          side.row_skip_flags[row] = source_.regular(layout_.row_skip());
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

  void advance_over_zeros(std::uint64_t count) {
    // Zeros walk a state through a cycle whose length divides 4.
    for (std::uint64_t i = 0; i < count % 4; ++i) near_.state = kNextState[near_.state][0];
  }

  Outcome decode_segment(const Segment& segment, std::int32_t* levels, bool history) {
    if constexpr (requires { source_.decode_levels(coding_, near_, history, segment, levels); })
      if (coding_.codebook_size != 1) return source_.decode_levels(coding_, near_, history, segment, levels);
    return coding_.codebook_size > 0 ? decode_bin_by_bin<true>(segment, levels, history)
                                     : decode_bin_by_bin<false>(segment, levels, history);
  }

  template <bool kCodebook>
  Outcome decode_bin_by_bin(const Segment& segment, std::int32_t* levels, bool history) {
    for (std::uint64_t i = segment.begin; i < segment.begin + segment.length; ++i) {
      near_.base = coding_.base != nullptr ? coding_.base[i] : 0;
      near_.history = history && coding_.history != nullptr && coding_.history[i] != 0;
      std::int64_t level = decode_level<kCodebook>();
      if constexpr (kCodebook)
        if (std::abs(level) > coding_.codebook_limit(level < 0)) return rejected(Outcome::kNotInCodebook);
      near_.previous = level;
      if (coding_.dependent) {
        const int state = near_.state;
        near_.state = kNextState[state][level & 1];
        level = 2 * level - ((state & 1) != 0 ? (level > 0) - (level < 0) : 0);
      }
      if (level < std::numeric_limits<std::int32_t>::min() || level > std::numeric_limits<std::int32_t>::max())
        return rejected(Outcome::kLevelOverflow);
      levels[i] = static_cast<std::int32_t>(level);
      if (i % kCheckInterval == 0 && source_.overrun()) return Outcome::kTruncated;
    }
    return source_.overrun() ? Outcome::kTruncated : Outcome::kOk;
  }

  template <bool kCodebook>
  std::int64_t decode_level() {
    if constexpr (kCodebook)
      if (coding_.codebook_size == 1) return 0;
    if (!source_.regular(near_.significance())) return 0;
    const bool one_sided = kCodebook && coding_.one_sided();
    const bool negative = one_sided ? coding_.codebook_zero != 0 : source_.regular(near_.sign());
    const std::int64_t limit = kCodebook ? coding_.codebook_limit(negative) : std::numeric_limits<std::int64_t>::max();
    std::int64_t magnitude = 1;
    bool greater = limit > 1;
    for (int j = 0; greater && j < layout_.unary && magnitude < limit; ++j) {
      greater = source_.regular(near_.greater(layout_, j, negative));
      magnitude += greater ? 1 : 0;
    }
    if (greater && magnitude < limit) magnitude = decode_escape(magnitude, limit);
    return negative ? -magnitude : magnitude;
  }

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
  Neighbourhood near_;
};

}  // namespace nnr
