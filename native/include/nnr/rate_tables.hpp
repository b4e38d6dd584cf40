// SPDX-License-Identifier: Apache-2.0
// What levels cost at one moment of a tensor: the context models as they stand, and tables made from them in which a
// quantiser looks up a level without walking its bins.
// Clause: format 5.2 and 5.3.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "nnr/context_model.hpp"
#include "nnr/level_bins.hpp"
#include "nnr/rate.hpp"
#include "nnr/tables.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

class RateTables {
 public:
  // What a significance bin's context depends on besides the state: the level before, the base, or the history.
  enum Kind { kAfterZero, kAfterNegative, kAfterPositive, kSmallBase, kLargeBase, kHistory, kKinds };

  // `initialisations` as in TensorChoices: empty, or one per context of for_each_initialised_context.
  RateTables(const TensorCoding& coding, bool history_enabled, std::span<const std::uint8_t> initialisations);

  // Adapts the contexts to one coded value. `near` is its neighbourhood and becomes that of the next, but for base and history.
  void adapt(Neighbourhood& near, std::int64_t value);

  // Makes the tables below from the contexts; a cost is `weight` per bit.
  void refresh(double weight);

  std::array<std::array<float, kTrellisStates>, kKinds> zero{};     // significance bin 0, by kind and state
  std::array<std::array<float, kTrellisStates>, kKinds> nonzero{};  // significance bin 1
  std::array<std::array<float, 2>, 5> sign{};                       // by kind (kHistory uses the level before) and sign

  // What follows the sign of a value of magnitude q >= 1. `base` is the co-located level, 0 without.
  [[nodiscard]] float magnitude(std::int64_t q, bool negative, std::int64_t base = 0) const {
    const Unary& flags = unary_[base == 0 ? (negative ? 1U : 0U) : 2U];
    const auto u = static_cast<std::int64_t>(layout_.unary);
    const std::int64_t ones = q - 1 < u ? q - 1 : u;
    float cost = flags.ones[static_cast<std::size_t>(ones)];
    if (base != 0) {
      // Flags up to |base| use one context each, those after it another.
      const std::int64_t split = std::abs(base) + 1 < u ? std::abs(base) + 1 : u;
      if (ones > split)
        cost += late_.ones[static_cast<std::size_t>(ones)] - late_.ones[static_cast<std::size_t>(split)] +
                flags.ones[static_cast<std::size_t>(split)] - flags.ones[static_cast<std::size_t>(ones)];
      if (ones < u) return cost + (ones < split ? flags : late_).stop[static_cast<std::size_t>(ones)];
    } else if (ones < u) {
      return cost + flags.stop[static_cast<std::size_t>(ones)];
    }
    return cost + escape_[static_cast<std::size_t>(prefix_length(q, layout_.unary))];
  }

 private:
  struct Unary {
    std::vector<float> ones;  // [n] greater flags 0..n-1 all 1, n up to the unary length
    std::vector<float> stop;  // [n] greater flag n being 0
  };

  void fill(Unary& flags, int first_context) const;

  const ContextLayout layout_;
  std::vector<ContextModel> contexts_;
  std::array<Unary, 3> unary_;      // of positive values, of negative ones, and beside a base up to its magnitude
  Unary late_;                      // beside a base, after its magnitude
  std::array<float, 33> escape_{};  // [k] prefix of k ones and a zero, and k bypass bins
  const bool dependent_;
  const bool temporal_;
  const bool updates_;  // whether contexts of earlier updates are in use
  float scale_ = 0;     // cost of 2^-15 bit
};

}  // namespace nnr
