// SPDX-License-Identifier: Apache-2.0
// The costs of the nine initialisations of one context model: nine models that code the same bins side by side.
// Clause: format 5.1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "nnr/tables.hpp"

namespace nnr {

struct InitialisationCosts {
  // Limit of `count` in a call. The costs of so many bins, below 2^18 each, add up within 32 bits.
  static constexpr std::size_t kMaxBins = 4096;
  // The nine models, and unused lanes that fill up a vector.
  static constexpr std::size_t kLanes = 16;

  alignas(32) std::array<std::int16_t, kLanes> t0{};       // 16 * s0, by initialisation
  alignas(32) std::array<std::int16_t, kLanes> t1{};       // s1
  std::array<std::uint64_t, kInitialisationCount> cost{};  // of all bins so far, in units of 2^-15 bit

  InitialisationCosts() { restart(); }

  // Returns every model to its initial state and keeps the costs.
  void restart();

  // Codes `count` bins, 0 or 1 each, at most kMaxBins. Results do not depend on the processor.
  void run(const std::uint8_t* bins, std::size_t count);

  // Codes `count` bins in each of two contexts; faster than two calls of run().
  static void run_pair(InitialisationCosts& first, const std::uint8_t* first_bins, InitialisationCosts& second,
                       const std::uint8_t* second_bins, std::size_t count);

  // The reference of run(), by ContextModel. It is also the portable implementation.
  void run_reference(const std::uint8_t* bins, std::size_t count);
};

}  // namespace nnr
