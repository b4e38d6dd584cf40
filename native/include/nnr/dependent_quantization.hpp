// SPDX-License-Identifier: Apache-2.0
// The state machine of dependent quantisation, and the mapping between coded values and levels.
//
// Two quantisers alternate. In an even state the levels are the even integers; in an odd state they are the odd integers and 0.
// The parity of each coded value selects the next state. Without dependent quantisation the state stays 0 and values are levels.
// States are 0..kTrellisStates - 1.
// Clause: format 5.4.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nnr/inline.hpp"

namespace nnr {

inline constexpr int kTrellisStates = 8;

// The next state, by state and by the parity of the coded value.
inline constexpr std::uint8_t kNextState[kTrellisStates][2] = {{0, 2}, {7, 5}, {1, 3}, {6, 4}, {2, 0}, {5, 7}, {3, 1}, {4, 6}};

// The previous state, by the parity of the coded value and by the state that it led to.
inline constexpr auto kPreviousState = [] {
  std::array<std::array<std::uint8_t, kTrellisStates>, 2> previous{};
  for (std::uint8_t state = 0; state < kTrellisStates; ++state)
    for (std::size_t parity = 0; parity < 2; ++parity) previous[parity][kNextState[state][parity]] = state;
  return previous;
}();

// The state after a coded value. Kernels hold states in the width of an index, which saves an extension in the chain of states.
template <class State>
[[nodiscard]] NNR_INLINE constexpr State next_state(State state, std::int64_t value) {
  assert(state >= 0 && state < kTrellisStates);
  return kNextState[state][value & 1];
}

// Every cycle of states under zeros has a length that divides this.
inline constexpr int kZeroCycle = 4;

// The state after `count` zeros.
[[nodiscard]] constexpr int state_after_zeros(int state, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count % kZeroCycle; ++i) state = next_state(state, 0);
  return state;
}

// The quantiser of a state: 0 or 1.
template <class State>
[[nodiscard]] NNR_INLINE constexpr State quantizer_of(State state) {
  return state & 1;
}

// Magnitude of the level of a coded value of magnitude `value` >= 1.
[[nodiscard]] NNR_INLINE constexpr std::int64_t magnitude_to_level(std::int64_t value, std::int64_t quantizer) {
  return 2 * value - quantizer;
}

// The level of a coded value; |2 * value| must fit the type.
template <class Integer>
[[nodiscard]] NNR_INLINE constexpr Integer value_to_level(Integer value, int state) {
  return 2 * value - (quantizer_of(state) != 0 ? (value > 0) - (value < 0) : 0);
}

// The inverse of value_to_level, in place. Returns false for a level that the state's quantiser does not have.
[[nodiscard]] constexpr bool level_to_value(std::int64_t& level, int state) {
  level += quantizer_of(state) != 0 ? (level > 0) - (level < 0) : 0;
  const bool even = (level & 1) == 0;
  level /= 2;
  return even;
}

// Maps a tensor's coded values, in coding order, to levels in place; |2 * value| must fit 32 bits.
constexpr void values_to_levels(std::span<std::int32_t> values) {
  int state = 0;
  for (std::int32_t& value : values) {
    const std::int32_t level = value_to_level(value, state);
    state = next_state(state, value);
    value = level;
  }
}

}  // namespace nnr
