// SPDX-License-Identifier: Apache-2.0
// The nine initialisations of one context model, run side by side over the same bins: where each stands and what it has cost.
// Clause: format 5.1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "nnr/tables.hpp"

namespace nnr {

struct CandidateCourses {
  // No sum of the costs of so many bins, of 18 bits each, is too large for 32.
  static constexpr std::size_t kMostBins = 4096;
  static constexpr std::size_t kLanes = 16;  // the nine, and lanes that fill up a vector and mean nothing

  alignas(32) std::array<std::int16_t, kLanes> t0{};  // 16 * s0 and s1
  alignas(32) std::array<std::int16_t, kLanes> t1{};
  std::array<std::uint64_t, kInitialisationCount> cost{};

  CandidateCourses() { restart(); }

  // Every candidate at its start; costs go on.
  void restart();

  // Costs and adapts to `count` bins, each 0 or 1, at most kMostBins of them. The same result whatever the processor.
  void follow(const std::uint8_t* bins, std::size_t count);

  // The same for two contexts at once, `count` bins of each; faster than one after the other.
  static void follow_two(CandidateCourses& first, const std::uint8_t* first_bins, CandidateCourses& second,
                         const std::uint8_t* second_bins, std::size_t count);

  // What follow() does where the processor has nothing better; for tests.
  void follow_plainly(const std::uint8_t* bins, std::size_t count);
};

}  // namespace nnr
