// SPDX-License-Identifier: Apache-2.0
// The forward pass of the Viterbi algorithm over dependent quantisation's 8 states: least squared error to each of them.
// Clause: format 5.4.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "nnr/tables.hpp"

namespace nnr {

// A branch of the trellis, by where it comes from and the parity of the coded value.
struct Branch {
  int state;
  int parity;
};

namespace detail {

// The two branches that lead to each state.
constexpr std::array<std::array<Branch, 2>, kTrellisStates> make_incoming() {
  std::array<std::array<Branch, 2>, kTrellisStates> incoming{};
  std::array<std::size_t, kTrellisStates> found{};
  for (int state = 0; state < kTrellisStates; ++state)
    for (int parity = 0; parity < 2; ++parity) {
      const std::size_t to = kNextState[state][parity];
      incoming[to][found[to]++] = {state, parity};
    }
  return incoming;
}

}  // namespace detail

inline constexpr auto kIncoming = detail::make_incoming();

// The levels reachable from a state form two sets by the parity of the coded value. As magnitudes:
// even state, even value 0 4 8..; even state, odd value 2 6 10..; odd state, even value 0 3 7..; odd state, odd value 1 5 9..
constexpr std::size_t candidate_set(Branch branch) { return static_cast<std::size_t>(2 * (branch.state & 1) + branch.parity); }

inline constexpr std::array<double, 4> kSetOffsets = {0.0, 2.0, 3.0, 1.0};

// Adding and subtracting 1.5 * 2^52 rounds to the nearest integer, ties to even, as nearbyint does, without a call.
inline constexpr double kRounder = 6755399441055744.0;

// Only the third set has a member, 0, that is off its grid; it is the nearest to what is below this.
inline constexpr std::array<double, 4> kNearerZero = {-1.0, -1.0, 1.5, -1.0};

// The member of a set that is nearest to x >= 0. Without a branch: no set can be foreseen.
[[nodiscard]] inline double nearest_magnitude(double x, std::size_t set) {
  const double offset = kSetOffsets[set];
  const double rounded = ((x - offset) * 0.25 + kRounder) - kRounder;
  const double magnitude = 4.0 * rounded + offset;
  const double on_grid = offset < magnitude ? magnitude : offset;
  return x < kNearerZero[set] ? 0.0 : on_grid;
}

struct Trellis {
  std::array<double, kTrellisStates> costs;

  Trellis();

  // Takes `count` weights in coding order, each times `inverse`. Bit kDecisionBit[t] of decisions[n] says which of kIncoming[t]
  // is the cheaper way to state t. The same result whatever the processor.
  void follow(const float* weights, std::size_t count, double inverse, std::uint8_t* decisions);

  // What follow() does where the processor has nothing better; for tests.
  void follow_plainly(const float* weights, std::size_t count, double inverse, std::uint8_t* decisions);
};

// In the order in which two vectors hold the states 0 2 4 6 and 3 1 7 5.
inline constexpr std::array<unsigned, kTrellisStates> kDecisionBit = {0, 5, 1, 4, 2, 7, 3, 6};

// The way back from a state, by the state and the decisions made there: what the branch taken comes from and its set.
struct StepBack {
  std::uint8_t state;
  std::uint8_t set;
};

namespace detail {

constexpr std::array<std::array<StepBack, 256>, kTrellisStates> make_steps_back() {
  std::array<std::array<StepBack, 256>, kTrellisStates> steps{};
  for (std::size_t state = 0; state < kTrellisStates; ++state)
    for (std::size_t decisions = 0; decisions < 256; ++decisions) {
      const Branch branch = kIncoming[state][(decisions >> kDecisionBit[state]) & 1U];
      steps[state][decisions] = {static_cast<std::uint8_t>(branch.state), static_cast<std::uint8_t>(candidate_set(branch))};
    }
  return steps;
}

}  // namespace detail

inline constexpr auto kStepsBack = detail::make_steps_back();

}  // namespace nnr
