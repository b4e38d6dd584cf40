// SPDX-License-Identifier: Apache-2.0
// Cost tables of levels: the context models at one point of a tensor, and lookups by which a quantiser prices a level without
// iterating over its bins.
// Clause: format 5.2 and 5.3.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "nnr/context_model.hpp"
#include "nnr/dependent_quantization.hpp"
#include "nnr/level_bins.hpp"
#include "nnr/rate.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

class RateTables {
 public:
  // The condition that selects a significance context besides the state: the level before, the base, or the history.
  enum Kind : std::uint8_t { kAfterZero, kAfterNegative, kAfterPositive, kSmallBase, kLargeBase, kHistory, kKinds };

  // `initialisations` as in TensorChoices: empty, or one per context of for_each_initialised_context. `coding` has no codebook.
  RateTables(const TensorCoding& coding, bool history_enabled, std::span<const std::uint8_t> initialisations);

  // Adapts the contexts to one coded value, and advances its neighbourhood to the next value, except for base and history.
  void adapt(Neighbourhood& neighbourhood, std::int64_t value);

  // Recomputes the tables below from the contexts. Costs are multiples of `weight`, the cost of one bit.
  void refresh(double weight);

  std::array<std::array<float, kTrellisStates>, kKinds> zero{};     // significance bin 0, by kind and state
  std::array<std::array<float, kTrellisStates>, kKinds> nonzero{};  // significance bin 1
  std::array<std::array<float, 2>, 5> sign{};                       // by kind and sign; kHistory uses the level before

  // The cost of the bins after the sign, for a value of magnitude q >= 1. `base` is the co-located level, 0 without one.
  [[nodiscard]] float magnitude(std::int64_t q, bool negative, std::int64_t base = 0) const {
    assert(q >= 1);
    const Unary& flags = unary_[base == 0 ? (negative ? 1U : 0U) : 2U];
    const auto u = static_cast<std::int64_t>(layout_.unary);
    const std::int64_t ones = q - 1 < u ? q - 1 : u;
    float cost = flags.ones[static_cast<std::size_t>(ones)];
    if (base != 0) {
      // Flags 0..|base| have contexts of `flags`, later ones those of `late_`.
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
    std::vector<float> ones;  // [n] cost of greater-than flags 0..n-1 being 1, n up to the unary length
    std::vector<float> stop;  // [n] cost of greater-than flag n being 0
  };

  void fill(Unary& flags, int first_context) const;

  ContextLayout layout_;
  std::vector<ContextModel> contexts_;
  std::array<Unary, 3> unary_;      // for positive values, for negative ones, and beside a base up to its magnitude
  Unary late_;                      // beside a base, beyond its magnitude
  std::array<float, 33> escape_{};  // [k] cost of an escape with k ones in its prefix
  bool dependent_;
  bool temporal_;
  bool updates_;     // contexts of earlier updates are in use
  float scale_ = 0;  // cost of 2^-15 bit
};

}  // namespace nnr
