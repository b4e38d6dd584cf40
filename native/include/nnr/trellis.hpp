// SPDX-License-Identifier: Apache-2.0
// The forward pass of the Viterbi algorithm over the 8 states of dependent quantisation, for the least squared error.
//
// Distances and costs are in steps and squared steps.
// Clause: format 5.4.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "nnr/dependent_quantization.hpp"

namespace nnr {

// A branch of the trellis: the state it leaves and the parity of the coded value.
struct Branch {
  int state;
  int parity;

  friend constexpr bool operator==(const Branch&, const Branch&) = default;
};

// The two branches into each state, ordered by the state they leave.
inline constexpr auto kIncoming = [] {
  std::array<std::array<Branch, 2>, kTrellisStates> incoming{};
  for (std::size_t state = 0; state < kTrellisStates; ++state) {
    const Branch even{kPreviousState[0][state], 0};
    const Branch odd{kPreviousState[1][state], 1};
    incoming[state] = even.state < odd.state ? std::array{even, odd} : std::array{odd, even};
  }
  return incoming;
}();

// The levels of a branch form one of four sets. As magnitudes:
//   0: even state, even value: 0 4 8 ...
//   1: even state, odd value:  2 6 10 ...
//   2: odd state, even value:  0 3 7 ...
//   3: odd state, odd value:   1 5 9 ...
constexpr std::size_t candidate_set(Branch branch) {
  return static_cast<std::size_t>(2 * quantizer_of(branch.state) + branch.parity);
}

// Offset of each set's grid of period 4.
inline constexpr std::array<double, 4> kSetOffsets = {0.0, 2.0, 3.0, 1.0};

// Adding and subtracting 1.5 * 2^52 rounds to the nearest integer, ties to even, as nearbyint does, without a call.
inline constexpr double kRounder = 6755399441055744.0;

// Magnitudes below this round to 0. Only set 2 has a member, 0, off its grid; it is the nearest below 1.5.
inline constexpr std::array<double, 4> kZeroThresholds = {-1.0, -1.0, 1.5, -1.0};

// The member of a set, 0..3, nearest to x >= 0. It has no branch, because sets are unpredictable.
[[nodiscard]] inline double nearest_magnitude(double x, std::size_t set) {
  const double offset = kSetOffsets[set];
  const double rounded = ((x - offset) * 0.25 + kRounder) - kRounder;
  const double magnitude = 4.0 * rounded + offset;
  const double on_grid = offset < magnitude ? magnitude : offset;
  return x < kZeroThresholds[set] ? 0.0 : on_grid;
}

struct Trellis {
  std::array<double, kTrellisStates> costs;  // least cost of a path to each state

  Trellis();

  // Extends the paths by `count` weights in coding order, each scaled by `inverse`, the inverse of the step. Bit kDecisionBit[t]
  // of decisions[n] is the index in kIncoming[t] of the cheaper branch to state t. Results do not depend on the processor.
  void run(const float* weights, std::size_t count, double inverse, std::uint8_t* decisions);

  // The reference of run(). It is also the portable implementation.
  void run_reference(const float* weights, std::size_t count, double inverse, std::uint8_t* decisions);
};

// The order in which two vectors hold the states: 0 2 4 6 and 3 1 7 5.
inline constexpr std::array<unsigned, kTrellisStates> kDecisionBit = {0, 5, 1, 4, 2, 7, 3, 6};

// One step of the traceback: the state before, and the set that the level is in.
struct TracebackStep {
  std::uint8_t state;
  std::uint8_t set;
};

// The traceback step by state and by the decisions made there.
inline constexpr auto kTraceback = [] {
  std::array<std::array<TracebackStep, 256>, kTrellisStates> steps{};
  for (std::size_t state = 0; state < kTrellisStates; ++state)
    for (std::size_t decisions = 0; decisions < 256; ++decisions) {
      const Branch branch = kIncoming[state][(decisions >> kDecisionBit[state]) & 1U];
      steps[state][decisions] = {static_cast<std::uint8_t>(branch.state), static_cast<std::uint8_t>(candidate_set(branch))};
    }
  return steps;
}();

}  // namespace nnr
