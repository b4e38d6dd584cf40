// SPDX-License-Identifier: Apache-2.0
// The fast form of ContextModel, with everything that the next bin needs computed in advance.
//
// Both estimates always equal those of ContextModel after the same bins.
// Clause: format 5.1.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "nnr/context_model.hpp"
#include "nnr/inline.hpp"
#include "nnr/tables.hpp"

namespace nnr {

namespace detail {

// Ranges stand in the top kRangeBits bits of a word, so that its number of leading zeros is the renormalisation shift.
inline constexpr int kRangeShift = 64 - kRangeBits;

// The eight LPS ranges of a state, one for each value of (range >> 5) & 7, in the bytes of one word. The word is rotated so that
// rotating it back by 8 bits for each step of the range puts a byte where ranges stand. The load depends on the state only.
struct LpsWords {
  std::uint64_t word[ContextModel::kStateIndices];
};

constexpr LpsWords make_lps_words() {
  LpsWords words{};
  for (int i = 0; i < 64; ++i) {
    std::uint64_t word = 0;
    for (unsigned row = 0; row < 8; ++row) word |= std::uint64_t{ContextModel::lps_range(32 * row, 128 * (i - 32))} << (8 * row);
    words.word[i] = std::rotl(word, kRangeShift);
  }
  return words;
}

inline constexpr LpsWords kLpsWords = make_lps_words();

// The change of the two estimates by a bin, for one initialisation.
struct Adaptation {
  std::int16_t fast[2][256];  // by bin and 128 + s0: 2 * s0 after the bin, which is a byte offset into this table
  std::int64_t slow[33][2];   // increment of s1, by 16 + (s1 >> 7) for a 1 or 16 + ((s1 + 127) >> 7) for a 0, and by bin
};

constexpr std::array<Adaptation, kInitialisationCount> make_adaptations() {
  std::array<Adaptation, kInitialisationCount> all{};
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (int s0 = -124; s0 <= 124; ++s0)
      for (std::size_t bin = 0; bin < 2; ++bin) {
        ContextModel model{.s0 = static_cast<std::int8_t>(s0), .initialisation = static_cast<std::uint8_t>(i)};
        model.update(bin != 0);
        all[i].fast[bin][static_cast<std::size_t>(128 + s0)] = static_cast<std::int16_t>(2 * model.s0);
      }
    for (std::size_t row = 0; row < 32; ++row) {
      const int step = kStep[row] >> kInitialisations[i].slow_shift;
      all[i].slow[row][1] = step;
      all[i].slow[32 - row][0] = -step;
    }
  }
  return all;
}

inline constexpr std::array<Adaptation, kInitialisationCount> kAdaptations = make_adaptations();

}  // namespace detail

struct FastContext {
  std::uint64_t lps_word = detail::kLpsWords.word[ContextModel::state_index(0)];  // of the state below
  const detail::Adaptation* adaptation = detail::kAdaptations.data();
  std::int64_t t1 = 0;  // s1; of register width, so that an update needs no conversion
  std::int16_t t0 = 0;  // 2 * s0
  std::uint8_t initialisation = 0;

  // The two estimates before a bin, held in registers while the bin is decided.
  struct Estimates {
    std::int64_t t0;
    std::int64_t t1;
    [[nodiscard]] NNR_INLINE std::int64_t state() const { return 8 * t0 + t1; }
  };
  [[nodiscard]] NNR_INLINE Estimates estimates() const { return {t0, t1}; }

  // The LPS range for a range; both stand in the top kRangeBits bits.
  [[nodiscard]] NNR_INLINE std::uint64_t lps(std::uint64_t range) const {
    const std::uint64_t bits = (range >> (detail::kRangeShift + 2)) & 0x38U;
    return (lps_word >> bits | lps_word << ((0 - bits) & 63U)) & 0xFFULL << detail::kRangeShift;
  }

  // Adapts to `bin`, 0 or 1. `before` is the value of estimates().
  NNR_INLINE void update(Estimates before, std::size_t bin) {
    assert(bin < 2);
    const auto rounding = static_cast<std::int64_t>((bin - 1) & 127U);  // 127 for a 0 and 0 for a 1, without a branch
    // Addressed in bytes, so that the lookup is a single load without a scaled index.
    std::int16_t next0;
    const std::int64_t byte_offset = static_cast<std::int64_t>(kFastOfBin * bin + kFastMiddle) + before.t0;
    std::memcpy(&next0, reinterpret_cast<const char*>(adaptation) + byte_offset, sizeof next0);
    const std::int64_t next1 = before.t1 + adaptation->slow[16 + ((before.t1 + rounding) >> 7)][bin];
    set(next0, next1);
  }

  // Adapts to a bin known at compile time, and returns it.
  template <int kBin>
  NNR_INLINE bool update(Estimates before) {
    update(before, std::size_t{kBin});
    return kBin != 0;
  }

  void initialise(int index) {
    initialisation = static_cast<std::uint8_t>(index);
    ContextModel model;
    model.initialise(index);
    adaptation = &detail::kAdaptations[static_cast<std::size_t>(index)];
    set(static_cast<std::int16_t>(2 * model.s0), model.s1);
  }

  void reset() { initialise(initialisation); }

  // The same state as a ContextModel, for comparisons.
  [[nodiscard]] ContextModel model() const {
    ContextModel model;
    model.s1 = static_cast<std::int16_t>(t1);
    model.s0 = static_cast<std::int8_t>(t0 / 2);
    model.initialisation = initialisation;
    return model;
  }

 private:
  static constexpr std::size_t kFastOfBin = sizeof detail::Adaptation::fast[0];
  static constexpr std::size_t kFastMiddle = kFastOfBin / 2;
  static_assert(offsetof(detail::Adaptation, fast) == 0);

  NNR_INLINE void set(std::int16_t next0, std::int64_t next1) {
    t0 = next0;
    t1 = next1;
    lps_word = detail::kLpsWords.word[((std::int64_t{8} * next0 + next1) >> 7) + 32];
  }
};

}  // namespace nnr
