// SPDX-License-Identifier: Apache-2.0
// The context model of ContextModel, laid out for speed: what the next bin needs is ready before the bin is asked for.
// Clause: format 5.1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "nnr/context_model.hpp"
#include "nnr/inline.hpp"
#include "nnr/tables.hpp"

namespace nnr {

namespace detail {

// The eight RLPS entries of a state, one for each value of (range >> 5) & 7, in the bytes of one word: the load depends on
// the state only, and the range selects a byte by shifting.
struct LpsWords {
  std::uint64_t word[64];  // by (S >> 7) + 32
};

constexpr LpsWords make_lps_words() {
  LpsWords words{};
  for (int i = 0; i < 64; ++i)
    for (unsigned row = 0; row < 8; ++row) {
      const std::uint64_t lps = kRangeLps[32 * row + ContextModel::lps_column(128 * (i - 32))];
      words.word[i] |= lps << (8 * row);
    }
  return words;
}

inline constexpr LpsWords kLpsWords = make_lps_words();

// What a bin adds to an estimate, per initialisation. The fast estimate is kept times 16, so that both look alike.
struct Adaptation {
  std::int32_t fast[33][2];  // by 16 + (t >> 7) for a 1, 16 + ((t + 127) >> 7) for a 0, and bin: no negation at run time
  std::int32_t slow[33][2];
};

constexpr std::array<Adaptation, kInitialisationCount> make_adaptations() {
  std::array<Adaptation, kInitialisationCount> all{};
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t at = 0; at < 32; ++at) {
      const int fast = 16 * (kStep[at] >> kInitialisations[i].a);
      const int slow = kStep[at] >> kInitialisations[i].b_shift;
      all[i].fast[at][1] = fast;
      all[i].slow[at][1] = slow;
      all[i].fast[32 - at][0] = -fast;
      all[i].slow[32 - at][0] = -slow;
    }
  return all;
}

inline constexpr std::array<Adaptation, kInitialisationCount> kAdaptations = make_adaptations();

}  // namespace detail

struct FastContext {
  std::uint64_t lps_word = detail::kLpsWords.word[32];  // of the state below
  const detail::Adaptation* adaptation = detail::kAdaptations.data();
  std::int32_t t0 = 0;  // 16 * s0
  std::int32_t t1 = 0;  // s1
  std::int32_t initialisation = 0;

  // The two estimates, read once and held in registers while the bin is decided.
  struct Estimates {
    std::int64_t t0;
    std::int64_t t1;
    [[nodiscard]] NNR_INLINE std::int64_t state() const { return t0 + t1; }
  };
  [[nodiscard]] NNR_INLINE Estimates estimates() const { return {t0, t1}; }

  [[nodiscard]] NNR_INLINE std::uint64_t lps(std::uint64_t range) const {
    return (lps_word >> ((range >> 2) & 0x38U)) & 0xFFU;
  }

  // Adapts to the bin. `old` is what estimates() gave.
  NNR_INLINE void update(Estimates old, std::size_t bin) {
    const auto round = static_cast<std::int64_t>((bin - 1) & 127U);  // 127 for a 0, with no branch
    const std::int64_t next0 = old.t0 + adaptation->fast[16 + ((old.t0 + round) >> 7)][bin];
    const std::int64_t next1 = old.t1 + adaptation->slow[16 + ((old.t1 + round) >> 7)][bin];
    t0 = static_cast<std::int32_t>(next0);
    t1 = static_cast<std::int32_t>(next1);
    lps_word = detail::kLpsWords.word[((next0 + next1) >> 7) + 32];
  }

  // The same for a bin that is known, which it returns.
  template <int kBin>
  NNR_INLINE bool update(Estimates old) {
    update(old, std::size_t{kBin});
    return kBin != 0;
  }

  void initialise(int index) {
    initialisation = index;
    ContextModel model;
    model.initialise(index);
    t0 = 16 * model.s0;
    t1 = model.s1;
    adaptation = &detail::kAdaptations[static_cast<std::size_t>(index)];
    lps_word = detail::kLpsWords.word[((t0 + t1) >> 7) + 32];
  }

  void reset() { initialise(initialisation); }

  // The same state in the reference's form.
  [[nodiscard]] ContextModel model() const {
    ContextModel model;
    model.s1 = static_cast<std::int16_t>(t1);
    model.s0 = static_cast<std::int8_t>(t0 / 16);
    model.initialisation = static_cast<std::uint8_t>(initialisation);
    return model;
  }
};

}  // namespace nnr
