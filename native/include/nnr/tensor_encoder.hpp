// SPDX-License-Identifier: Apache-2.0
// The syntax of one tensor, written once over a Sink of bins: the arithmetic encoder, the search for initialisations, or a rate
// counter.
//
// A Sink has regular(context_index, bin), bypass(bin), bypass_bins(bins, count), restart_range(),
// initialise(context_index, index) and reset_contexts(). A Sink that also has put_run(run) receives the levels of most tensors as
// runs of bins (bin_run.hpp); levels with a codebook or with contexts from earlier updates always come bin by bin.
// Clause: format 5.3 to 5.6.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <span>
#include <vector>

#include "nnr/bin_run.hpp"
#include "nnr/dependent_quantization.hpp"
#include "nnr/observer.hpp"
#include "nnr/scan.hpp"
#include "nnr/status.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

// The encoder's choices for one tensor besides its levels.
struct TensorChoices {
  std::int32_t qp_value = 0;                  // fits TensorCoding::qp_bits
  bool history_enabled = false;               // only with TensorCoding::has_history_flag()
  std::vector<std::uint8_t> row_skip_flags;   // one per row, 1 for rows of zeros not coded; empty: row skipping off
  std::vector<std::uint8_t> initialisations;  // 0..8, one per context of for_each_initialised_context; empty: all 0
};

template <class Sink>
concept AcceptsRuns = requires(Sink& sink, std::span<const BinEntry> run) { sink.put_run(run); };

template <class Sink>
class TensorEncoder {
 public:
  // `sink` and `coding` must outlive the encoder.
  TensorEncoder(Sink& sink, const TensorCoding& coding) : sink_(sink), coding_(coding), layout_(coding.unary_length) {}

  // Encodes everything from qp_value to the last level. `levels` holds coding.size() values, with dependent quantisation those
  // after the mapping of format 5.4. `failed_at` receives the index of the first level that cannot be coded, if any.
  // `on_block_row(state)` is called at the start of each block row when there are several.
  template <class OnBlockRow>
  Outcome encode(const std::int32_t* levels, const TensorChoices& choices, std::uint64_t& failed_at, OnBlockRow&& on_block_row) {
    return encode(levels, choices, failed_at, on_block_row, [](const Segment&) { return true; });
  }

  // As above, for the segments that select(segment) selects. Of the others only the states are followed.
  template <class OnBlockRow, class Select>
  Outcome encode(const std::int32_t* levels, const TensorChoices& choices, std::uint64_t& failed_at, OnBlockRow&& on_block_row,
                 Select&& select) {
    write_side_data(choices);
    const bool in_runs = AcceptsRuns<Sink> && !coding_.temporal(choices.history_enabled) && coding_.codebook_size == 0;
    for (std::uint64_t block_row = 0; block_row < coding_.block_rows(); ++block_row) {
      if (coding_.block_rows() > 1) {
        if (block_row > 0) {
          sink_.reset_contexts();
          neighbourhood_ = {.state = neighbourhood_.state};
        }
        sink_.restart_range();
        on_block_row(neighbourhood_.state);
      }
      Outcome outcome = Outcome::kOk;
      for_each_segment(coding_, block_row, [&](const Segment& segment) {
        outcome = select(segment) ? encode_segment(segment, levels, choices, in_runs, failed_at)
                                  : pass_over(segment, levels, failed_at);
        advance(segment.length);
        return outcome == Outcome::kOk;
      });
      flush_run();
      if (outcome != Outcome::kOk) return outcome;
    }
    return Outcome::kOk;
  }

 private:
  void write_side_data(const TensorChoices& choices) {
    if (coding_.qp_bits > 0) {
      const std::uint32_t mask = coding_.qp_bits >= 32 ? ~0U : (1U << coding_.qp_bits) - 1;
      sink_.bypass_bins(static_cast<std::uint32_t>(choices.qp_value) & mask, coding_.qp_bits);
    }
    for (int i = 0; i < layout_.count(); ++i) sink_.initialise(i, 0);
    if (coding_.has_row_skip_flag()) {
      if (coding_.has_history_flag()) sink_.bypass(choices.history_enabled);
      sink_.bypass(!choices.row_skip_flags.empty());
      for (const std::uint8_t flag : choices.row_skip_flags) sink_.regular(layout_.row_skip(), flag != 0);
    }
    std::size_t next = 0;
    for_each_initialised_context(coding_, coding_.base != nullptr, choices.history_enabled, [&](int index) {
      const int initialisation = choices.initialisations.empty() ? 0 : choices.initialisations[next++];
      sink_.regular(layout_.parameter_flag(), initialisation != 0);
      if (initialisation == 0) return;
      sink_.bypass_bins(static_cast<std::uint32_t>(initialisation - 1), 3);
      sink_.initialise(index, initialisation);
    });
  }

  Outcome encode_segment(const Segment& segment, const std::int32_t* levels, const TensorChoices& choices, bool in_runs,
                         std::uint64_t& failed_at) {
    const bool skipped = !choices.row_skip_flags.empty() && choices.row_skip_flags[segment.row] != 0;
    if (skipped) {
      const std::int32_t* begin = levels + segment.begin;
      const std::int32_t* end = begin + segment.length;
      const std::int32_t* nonzero = std::find_if(begin, end, [](std::int32_t level) { return level != 0; });
      if (nonzero != end) {
        failed_at = static_cast<std::uint64_t>(nonzero - levels);
        return Outcome::kLevelInSkippedRow;
      }
      if (coding_.dependent) neighbourhood_.state = state_after_zeros(neighbourhood_.state, coding_.width);
      return Outcome::kOk;
    }
    return in_runs ? encode_in_runs(segment, levels, failed_at) : encode_by_bins(segment, levels, choices, failed_at);
  }

  Outcome pass_over(const Segment& segment, const std::int32_t* levels, std::uint64_t& failed_at) {
    const std::int32_t* const end = levels + segment.begin + segment.length;
    if (coding_.dependent) {
      auto state = static_cast<std::size_t>(neighbourhood_.state);
      for (const std::int32_t* level = levels + segment.begin; level != end; ++level) {
        const auto magnitude = static_cast<std::uint64_t>(std::abs(std::int64_t{*level}));
        const std::size_t next = kStatesByLevel.after[state][(*level != 0 ? 4U : 0U) + (magnitude & 3)];
        if (next == StatesByLevel::kImpossible) [[unlikely]] {
          failed_at = static_cast<std::uint64_t>(level - levels);
          return Outcome::kParityMismatch;
        }
        state = next;
      }
      neighbourhood_.state = static_cast<int>(state);
    }
    if (segment.length > 0) neighbourhood_.previous = end[-1];
    return Outcome::kOk;
  }

  Outcome encode_in_runs(const Segment& segment, const std::int32_t* levels, std::uint64_t& failed_at) {
    auto state = static_cast<std::size_t>(neighbourhood_.state);
    auto sign_class = static_cast<std::size_t>(Neighbourhood::sign_class(neighbourhood_.previous));
    BinEntry* out = run_.begin();
    for (std::uint64_t i = segment.begin; i < segment.begin + segment.length; ++i) {
      const std::int64_t level = levels[i];
      const std::size_t negative = level < 0 ? 1 : 0;
      const std::size_t nonzero = level != 0 ? 1 : 0;
      auto magnitude = static_cast<std::uint64_t>(level < 0 ? -level : level);
      std::size_t next = state;
      if (coding_.dependent) {
        next = kStatesByLevel.after[state][4 * nonzero + (magnitude & 3)];
        if (next == StatesByLevel::kImpossible) [[unlikely]] {
          failed_at = i;
          return Outcome::kParityMismatch;
        }
        magnitude = (magnitude + (state & nonzero)) >> 1;
      }
      out = BinRun::write_level(out, layout_, negative, magnitude, state, sign_class);
      sign_class = nonzero * (2 - negative);
      state = next;
      if (run_.has_room(out)) continue;
      run_.set_end(out);
      flush_run();
      out = run_.begin();
    }
    run_.set_end(out);
    neighbourhood_.state = static_cast<int>(state);
    neighbourhood_.previous = Neighbourhood::value_of_class(static_cast<std::int64_t>(sign_class));
    return Outcome::kOk;
  }

  // level_to_value() and next_state() in one table, so that the chain from state to state is one load a level. Indexed by state,
  // then by the last two bits of the magnitude, plus 4 for a level other than 0.
  struct StatesByLevel {
    static constexpr std::uint8_t kImpossible = 0xFF;
    std::uint8_t after[kTrellisStates][8];
  };
  static constexpr StatesByLevel kStatesByLevel = [] {
    StatesByLevel states{};
    for (int state = 0; state < kTrellisStates; ++state)
      for (int column = 0; column < 8; ++column) {
        std::int64_t level = column <= 4 ? column : column - 4;
        const bool possible = level_to_value(level, state);
        states.after[state][column] = possible ? static_cast<std::uint8_t>(next_state(state, level)) : StatesByLevel::kImpossible;
      }
    return states;
  }();

  void flush_run() {
    if constexpr (AcceptsRuns<Sink>) sink_.put_run(run_.entries());
    run_.clear();
  }

  Outcome encode_by_bins(const Segment& segment, const std::int32_t* levels, const TensorChoices& choices,
                         std::uint64_t& failed_at) {
    for (std::uint64_t i = segment.begin; i < segment.begin + segment.length; ++i) {
      neighbourhood_.locate(coding_, choices.history_enabled, i);
      std::int64_t value = levels[i];
      if (coding_.dependent && !level_to_value(value, neighbourhood_.state)) {
        failed_at = i;
        return Outcome::kParityMismatch;
      }
      if (coding_.codebook_size > 0 && std::abs(value) > coding_.codebook_limit(value < 0)) {
        failed_at = i;
        return Outcome::kNotInCodebook;
      }
      encode_value(value);
      neighbourhood_.previous = value;
      if (coding_.dependent) neighbourhood_.state = next_state(neighbourhood_.state, value);
    }
    return Outcome::kOk;
  }

  void encode_value(std::int64_t value) {
    if (coding_.codebook_size == 1) return;
    sink_.regular(neighbourhood_.significance(), value != 0);
    if (value == 0) return;
    const bool negative = value < 0;
    if (!coding_.one_sided()) sink_.regular(neighbourhood_.sign(), negative);
    const std::int64_t limit =
        coding_.codebook_size > 0 ? coding_.codebook_limit(negative) : std::numeric_limits<std::int64_t>::max();
    const std::int64_t magnitude = negative ? -value : value;
    std::int64_t coded = 1;
    bool greater = limit > 1;
    for (int j = 0; greater && j < layout_.unary && coded < limit; ++j) {
      greater = magnitude > coded;
      sink_.regular(neighbourhood_.greater(layout_, j, negative), greater);
      coded += greater ? 1 : 0;
    }
    if (greater && coded < limit) encode_escape(magnitude, coded, limit);
  }

  // Encodes the Exp-Golomb code of `magnitude`, of which `coded` is known; `limit` shortens it under a codebook.
  void encode_escape(std::int64_t magnitude, std::int64_t coded, std::int64_t limit) {
    int k = 0;
    for (int j = 0; j < ContextLayout::kPrefixCount; ++j) {
      const bool more = magnitude - coded >= (std::int64_t{1} << k);
      sink_.regular(layout_.prefix() + j, more);
      if (!more) break;
      coded += std::int64_t{1} << k;
      ++k;
      if (limit - coded < (std::int64_t{1} << k)) break;
    }
    sink_.bypass_bins(static_cast<std::uint32_t>(magnitude - coded), k);
  }

  Sink& sink_;
  const TensorCoding& coding_;
  const ContextLayout layout_;
  Neighbourhood neighbourhood_;
  BinRun run_;
};

}  // namespace nnr
