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
  static constexpr std::size_t kLanes = 16;  // the nine, and lanes that fill up a vector and mean nothing

  alignas(32) std::array<std::int16_t, kLanes> t0{};  // the estimates as FastContext has them, 16 * s0 and s1
  alignas(32) std::array<std::int16_t, kLanes> t1{};
  std::array<std::uint64_t, kInitialisationCount> cost{};

  CandidateCourses() { restart(); }

  // Every candidate at its start; costs go on.
  void restart();

  // Costs and adapts to `count` bins, each 0 or 1. The same result whatever the processor.
  void follow(const std::uint8_t* bins, std::size_t count);

  // What follow() does where the processor has nothing better; for tests.
  void follow_plainly(const std::uint8_t* bins, std::size_t count);
};

}  // namespace nnr
