// SPDX-License-Identifier: Apache-2.0
// One tensor's levels into a Sink of bins: the arithmetic encoder, the search for initialisations, or a rate counter.
//
// A Sink offers regular(context_index, bin), bypass(bin), bypass_bins(bins, count), restart_range(),
// initialise(context_index, index) and reset_contexts(). One that also offers take(run), a list of bins as in bin_run.hpp, gets
// the levels of most tensors so; the others, and all levels where contexts depend on more, come bin by bin.
// Clause: format 5.3 to 5.6.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <span>
#include <vector>

#include "nnr/bin_run.hpp"
#include "nnr/scan.hpp"
#include "nnr/status.hpp"
#include "nnr/tables.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

// What the encoder decided to say of a tensor besides its levels.
struct TensorChoices {
  std::int32_t qp_value = 0;
  bool history_enabled = false;
  std::vector<std::uint8_t> row_skip_flags;   // one per row, 1 for rows of zeros not coded; empty: row skipping off
  std::vector<std::uint8_t> initialisations;  // as in TensorSideData; empty: all 0
};

// The inverse of format 5.4: an odd state shifts the odd multiples next to zero onto the integers. False for a level that the
// state cannot have.
constexpr bool undo_mapping(std::int64_t& level, int state) {
  level += (state & 1) != 0 ? (level > 0) - (level < 0) : 0;
  const bool even = (level & 1) == 0;
  level /= 2;
  return even;
}

template <class Sink>
concept TakesRuns = requires(Sink& sink, std::span<const BinEntry> run) { sink.take(run); };

template <class Sink>
class TensorEncoder {
 public:
  TensorEncoder(Sink& sink, const TensorCoding& coding) : sink_(sink), coding_(coding), layout_(coding.unary_length) {}

  // `levels` holds coding.size() values, those of dependent quantisation after the mapping of format 5.4.
  // `failed_at` receives the index of the level that cannot be coded, if any. `on_block_row(state)` is called at the start of
  // each block row when there are several.
  template <class OnBlockRow>
  Outcome encode(const std::int32_t* levels, const TensorChoices& choices, std::uint64_t& failed_at, OnBlockRow&& on_block_row) {
    write_side_data(choices);
    const bool near = coding_.base != nullptr || (choices.history_enabled && coding_.history != nullptr);
    const bool in_runs = TakesRuns<Sink> && !near && coding_.codebook_size == 0;
    for (std::uint64_t block_row = 0; block_row < coding_.block_rows(); ++block_row) {
      if (coding_.block_rows() > 1) {
        if (block_row > 0) {
          sink_.reset_contexts();
          near_ = {.state = near_.state};
        }
        sink_.restart_range();
        on_block_row(near_.state);
      }
      Outcome outcome = Outcome::kOk;
      for_each_segment(coding_, block_row, [&](const Segment& segment) {
        outcome = encode_segment(segment, levels, choices, in_runs, failed_at);
        return outcome == Outcome::kOk;
      });
      hand_over();
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
      if (coding_.parent_present) sink_.bypass(choices.history_enabled);
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
      const std::int32_t* found = std::find_if(begin, begin + segment.length, [](std::int32_t v) { return v != 0; });
      if (found != begin + segment.length) {
        failed_at = static_cast<std::uint64_t>(found - levels);
        return Outcome::kLevelInSkippedRow;
      }
      if (coding_.dependent)
        for (std::uint64_t i = 0; i < coding_.width % 4; ++i) near_.state = kNextState[near_.state][0];
      return Outcome::kOk;
    }
    return in_runs ? encode_in_runs(segment, levels, failed_at) : encode_by_bins(segment, levels, choices, failed_at);
  }

  Outcome encode_in_runs(const Segment& segment, const std::int32_t* levels, std::uint64_t& failed_at) {
    auto state = static_cast<std::size_t>(near_.state);
    auto sign_class = static_cast<std::size_t>(Neighbourhood::sign_class(near_.previous));
    BinEntry* out = run_.begin();
    for (std::uint64_t i = segment.begin; i < segment.begin + segment.length; ++i) {
      const std::int64_t level = levels[i];
      const std::size_t negative = level < 0 ? 1 : 0;
      const std::size_t nonzero = level != 0 ? 1 : 0;
      auto magnitude = static_cast<std::uint64_t>(level < 0 ? -level : level);
      std::size_t next = state;
      if (coding_.dependent) {
        next = kStates.after[state][4 * nonzero + (magnitude & 3)];
        if (next == StatesByLevel::kImpossible) [[unlikely]] {
          failed_at = i;
          return Outcome::kParityMismatch;
        }
        magnitude = (magnitude + (state & nonzero)) >> 1;
      }
      out = BinRun::write_level(out, layout_, negative, magnitude, state, sign_class);
      sign_class = nonzero * (2 - negative);
      state = next;
      if (run_.is_room(out)) continue;
      run_.end_at(out);
      hand_over();
      out = run_.begin();
    }
    run_.end_at(out);
    near_.state = static_cast<int>(state);
    near_.previous = sign_class == 1 ? -1 : static_cast<int>(sign_class);
    return Outcome::kOk;
  }

  // What undo_mapping() and kNextState give together, by 4 for a level that is not 0 and its magnitude's last two bits: one load
  // from state to state.
  struct StatesByLevel {
    static constexpr std::uint8_t kImpossible = 0xFF;
    std::uint8_t after[kTrellisStates][8];
  };
  static constexpr StatesByLevel kStates = [] {
    StatesByLevel states{};
    for (int state = 0; state < kTrellisStates; ++state)
      for (int at = 0; at < 8; ++at) {
        std::int64_t level = at < 4 ? at : at == 4 ? 4 : at - 4;
        const bool possible = undo_mapping(level, state);
        states.after[state][at] = possible ? kNextState[state][level & 1] : StatesByLevel::kImpossible;
      }
    return states;
  }();

  void hand_over() {
    if constexpr (TakesRuns<Sink>) sink_.take(run_.entries());
    run_.clear();
  }

  Outcome encode_by_bins(const Segment& segment, const std::int32_t* levels, const TensorChoices& choices,
                         std::uint64_t& failed_at) {
    for (std::uint64_t i = segment.begin; i < segment.begin + segment.length; ++i) {
      near_.base = coding_.base != nullptr ? coding_.base[i] : 0;
      near_.history = choices.history_enabled && coding_.history != nullptr && coding_.history[i] != 0;
      std::int64_t level = levels[i];
      if (coding_.dependent && !undo_mapping(level, near_.state)) {
        failed_at = i;
        return Outcome::kParityMismatch;
      }
      if (coding_.codebook_size > 0 && std::abs(level) > coding_.codebook_limit(level < 0)) {
        failed_at = i;
        return Outcome::kNotInCodebook;
      }
      encode_level(level);
      near_.previous = level;
      if (coding_.dependent) near_.state = kNextState[near_.state][level & 1];
    }
    return Outcome::kOk;
  }

  void encode_level(std::int64_t level) {
    if (coding_.codebook_size == 1) return;
    sink_.regular(near_.significance(), level != 0);
    if (level == 0) return;
    const bool negative = level < 0;
    if (!coding_.one_sided()) sink_.regular(near_.sign(), negative);
    const std::int64_t limit =
        coding_.codebook_size > 0 ? coding_.codebook_limit(negative) : std::numeric_limits<std::int64_t>::max();
    const std::int64_t magnitude = negative ? -level : level;
    std::int64_t coded = 1;
    bool greater = limit > 1;
    for (int j = 0; greater && j < layout_.unary && coded < limit; ++j) {
      greater = magnitude > coded;
      sink_.regular(near_.greater(layout_, j, negative), greater);
      coded += greater ? 1 : 0;
    }
    if (greater && coded < limit) encode_escape(magnitude, coded, limit);
  }

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
  Neighbourhood near_;
  BinRun run_;
};

}  // namespace nnr
