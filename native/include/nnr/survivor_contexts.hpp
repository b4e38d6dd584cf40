// SPDX-License-Identifier: Apache-2.0
// The context models as each survivor of a search has left them, and what its next bins cost.
// Clause: format 5.1 to 5.3.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nnr/context_model.hpp"
#include "nnr/rate.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

class SurvivorContexts {
 public:
  // `slots` sets of contexts, each as the tensor starts. `weight` is the cost of a bit; `initialisations` as in TensorChoices.
  SurvivorContexts(const TensorCoding& coding, bool history_enabled, std::span<const std::uint8_t> initialisations,
                   double weight, std::size_t slots)
      : layout_(coding.unary_length),
        size_(static_cast<std::size_t>(kGreater + (coding.base != nullptr ? 4 : 2) * coding.unary_length)),
        start_(size_),
        contexts_(size_ * slots),
        bit_(static_cast<float>(weight)) {
    for (ContextModel& context : start_) context.initialise(0);
    std::size_t next = 0;
    for_each_initialised_context(coding, coding.base != nullptr, history_enabled, [&](int index) {
      if (next < initialisations.size()) start_[place(index)].initialise(initialisations[next++]);
    });
    for (std::size_t i = 0; i < 64; ++i) {
      costs_[0][i] = bit_ * static_cast<float>(kBinCosts.zero[i]) / static_cast<float>(kBypassCost);
      costs_[1][i] = bit_ * static_cast<float>(kBinCosts.one[i]) / static_cast<float>(kBypassCost);
    }
    for (std::size_t slot = 0; slot < slots; ++slot) restart(slot);
  }

  // As the tensor or a block row starts.
  void restart(std::size_t slot) { std::copy(start_.begin(), start_.end(), of(slot)); }
  void copy(std::size_t from, std::size_t to) { std::copy_n(of(from), size_, of(to)); }

  [[nodiscard]] float cost(const ContextModel& context, bool bin) const {
    return costs_[bin ? 1 : 0][static_cast<std::size_t>((context.state() >> 7) + 32)];
  }
  [[nodiscard]] float significance(std::size_t slot, const Neighbourhood& near, bool bin) const {
    return cost(of(slot)[near.significance()], bin);
  }
  [[nodiscard]] float sign(std::size_t slot, const Neighbourhood& near, bool negative) const {
    return cost(of(slot)[near.sign()], negative);
  }

  // Costs of what follows the sign of a value, for magnitudes first, first + 1, ...; those below 1 are left alone.
  template <std::size_t kCount>
  void magnitudes(std::size_t slot, const Neighbourhood& near, bool negative, std::int64_t first,
                  std::array<float, kCount>& costs) const {
    const ContextModel* contexts = of(slot);
    const std::int64_t unary = layout_.unary;
    const auto greater = [&](std::int64_t j, bool bin) {
      return cost(contexts[near.greater(layout_, static_cast<int>(j), negative) + kMoved], bin);
    };
    float ones = 0;
    std::int64_t j = 0;
    for (const std::int64_t end = std::min(first - 1, unary); j < end; ++j) ones += greater(j, true);
    int k = 0;
    float prefix_ones = 0;
    for (std::size_t i = 0; i < kCount; ++i) {
      const std::int64_t magnitude = first + static_cast<std::int64_t>(i);
      if (magnitude < 1) continue;
      if (magnitude <= unary) {
        costs[i] = ones + greater(magnitude - 1, false);
        ones += greater(magnitude - 1, true);
        continue;
      }
      for (const int last = prefix_length(magnitude); k < last; ++k) prefix_ones += cost(contexts[kPrefix + k], true) + bit_;
      costs[i] = ones + prefix_ones + (k < ContextLayout::kPrefixCount ? cost(contexts[kPrefix + k], false) : 0.0F);
    }
  }

  // Adapts to one coded value.
  void adapt(std::size_t slot, const Neighbourhood& near, std::int64_t value) {
    ContextModel* contexts = of(slot);
    contexts[near.significance()].update(value != 0);
    if (value == 0) return;
    const bool negative = value < 0;
    contexts[near.sign()].update(negative);
    const std::int64_t magnitude = negative ? -value : value;
    const auto ones = static_cast<int>(std::min<std::int64_t>(magnitude - 1, layout_.unary));
    for (int j = 0; j < ones; ++j) contexts[near.greater(layout_, j, negative) + kMoved].update(true);
    if (ones < layout_.unary) {
      contexts[near.greater(layout_, ones, negative) + kMoved].update(false);
      return;
    }
    const int k = prefix_length(magnitude);
    for (int j = 0; j < k; ++j) contexts[kPrefix + j].update(true);
    if (k < ContextLayout::kPrefixCount) contexts[kPrefix + k].update(false);
  }

 private:
  // As in ContextLayout, but with the greater-than flags behind the prefixes: only those in use are copied.
  static constexpr int kPrefix = ContextLayout::kGreater;
  static constexpr int kGreater = kPrefix + ContextLayout::kPrefixCount;
  static constexpr int kMoved = kGreater - ContextLayout::kGreater;

  [[nodiscard]] std::size_t place(int index) const {
    if (index < ContextLayout::kGreater) return static_cast<std::size_t>(index);
    return static_cast<std::size_t>(index < layout_.prefix() ? index + kMoved : index - layout_.prefix() + kPrefix);
  }
  // Ones of the escape of a magnitude beyond the unary length; as many bypass bins follow.
  [[nodiscard]] int prefix_length(std::int64_t magnitude) const {
    return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(magnitude - layout_.unary))) - 1;
  }
  [[nodiscard]] ContextModel* of(std::size_t slot) { return contexts_.data() + slot * size_; }
  [[nodiscard]] const ContextModel* of(std::size_t slot) const { return contexts_.data() + slot * size_; }

  const ContextLayout layout_;
  const std::size_t size_;  // contexts of a slot
  std::vector<ContextModel> start_;
  std::vector<ContextModel> contexts_;
  std::array<std::array<float, 64>, 2> costs_{};  // by bin, then (S >> 7) + 32
  const float bit_;
};

}  // namespace nnr
