// SPDX-License-Identifier: Apache-2.0
// A context model: one adaptive binary probability, held as two estimates of different speed.
//
// The sign of S = s1 + 16 * s0 is the more probable symbol (1 for S >= 0); its magnitude gives that symbol's probability.
// This is the reference; FastContext holds the same state for the fast engines.
// Clause: format 5.1.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "nnr/tables.hpp"

namespace nnr {

namespace detail {

// kStep shifted by each of the shifts in use (4..7), so that an update is one load and one addition.
struct ShiftedSteps {
  std::int16_t step[8][32];
};

constexpr ShiftedSteps make_shifted_steps() {
  ShiftedSteps t{};
  for (unsigned shift = 0; shift < 8; ++shift)
    for (unsigned i = 0; i < 32; ++i) t.step[shift][i] = static_cast<std::int16_t>(kStep[i] >> shift);
  return t;
}

inline constexpr ShiftedSteps kShiftedSteps = make_shifted_steps();

}  // namespace detail

struct ContextModel {
  // Number of values of state_index().
  static constexpr std::size_t kStateIndices = 64;

  std::int16_t s1 = 0;              // slow estimate, |s1| < 2048
  std::int8_t s0 = 0;               // fast estimate, |s0| <= 124 (the last entry of kStep is 0)
  std::uint8_t initialisation = 0;  // 0..8; also selects the adaptation shifts

  // S, -4032..4031.
  [[nodiscard]] constexpr int state() const { return s1 + 16 * s0; }

  // S in 64 classes of equal bin probabilities: the index of tables by state.
  [[nodiscard]] static constexpr std::size_t state_index(int state) { return static_cast<std::size_t>((state >> 7) + 32); }
  [[nodiscard]] constexpr std::size_t state_index() const { return state_index(state()); }

  // The range of the less probable symbol, for a range of 256..510. The shift comes before the absolute value, so that S = -1
  // gives column 1.
  [[nodiscard]] static constexpr std::uint32_t lps_range(std::uint32_t range, int state) {
    const int q = state >> 7;
    const unsigned column = static_cast<unsigned>(q < 0 ? -q : q) & 31U;
    return kRangeLps[(range & 0xE0U) + column];
  }

  constexpr void initialise(int index) {
    assert(index >= 0 && index < kInitialisationCount);
    const Initialisation& init = kInitialisations[static_cast<unsigned>(index)];
    initialisation = static_cast<std::uint8_t>(index);
    s0 = init.s0;
    s1 = static_cast<std::int16_t>(init.state - 16 * init.s0);
  }

  constexpr void reset() { initialise(initialisation); }

  constexpr void update(bool bin) {
    const Initialisation& init = kInitialisations[initialisation];
    const std::int16_t* step0 = detail::kShiftedSteps.step[init.fast_shift];
    const std::int16_t* step1 = detail::kShiftedSteps.step[init.slow_shift];
    if (bin) {
      s0 = static_cast<std::int8_t>(s0 + step0[16 + (s0 >> 3)]);
      s1 = static_cast<std::int16_t>(s1 + step1[16 + (s1 >> 7)]);
    } else {
      s0 = static_cast<std::int8_t>(s0 - step0[16 + (-s0 >> 3)]);
      s1 = static_cast<std::int16_t>(s1 - step1[16 + (-s1 >> 7)]);
    }
  }

  friend bool operator==(const ContextModel&, const ContextModel&) = default;
};

}  // namespace nnr
