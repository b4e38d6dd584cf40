// SPDX-License-Identifier: Apache-2.0
// The context models as each survivor of a search has left them, and what its next bins cost.
// Clause: format 5.1 to 5.3.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "nnr/context_model.hpp"
#include "nnr/level_bins.hpp"
#include "nnr/rate.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

class SurvivorContexts {
 public:
  // `slots` sets of contexts, each as the tensor starts. `weight` is the cost of a bit; `initialisations` as in TensorChoices;
  // no magnitude exceeds `largest`.
  SurvivorContexts(const TensorCoding& coding, bool history_enabled, std::span<const std::uint8_t> initialisations, double weight,
                   std::int64_t largest, std::size_t slots)
      : layout_(coding.unary_length), bit_(static_cast<float>(weight)) {
    const bool temporal = coding.base != nullptr;
    prefix_ = kGreater + (temporal ? 4 * layout_.unary : 2 * static_cast<int>(std::min<std::int64_t>(layout_.unary, largest)));
    earlier_ = prefix_ + (largest > layout_.unary ? prefix_length(largest, layout_.unary) + 1 : 0);
    const int count = earlier_ + (temporal || history_enabled ? ContextLayout::kSign - ContextLayout::kSignificanceBase : 0);
    size_ = (static_cast<std::size_t>(count) + kBlock - 1) / kBlock * kBlock;
    start_.resize(size_);
    contexts_.resize(size_ * slots);
    for (ContextModel& context : start_) context.initialise(0);
    std::size_t next = 0;
    for_each_initialised_context(coding, temporal, history_enabled, [&](int index) {
      if (next == initialisations.size()) return;
      const std::uint8_t initialisation = initialisations[next++];
      const bool flag = index >= ContextLayout::kGreater && index < layout_.prefix();
      const bool prefix = index >= layout_.prefix();
      const int at = prefix ? place(LevelBin::kPrefix, index)
                            : place(index < ContextLayout::kSign ? LevelBin::kSignificance : LevelBin::kGreater, index);
      if ((flag && at >= prefix_) || (prefix && at >= earlier_)) return;
      start_[static_cast<std::size_t>(at)].initialise(initialisation);
    });
    for (std::size_t i = 0; i < 64; ++i) {
      const auto priced = [&](std::uint32_t cost) { return bit_ * static_cast<float>(cost) / static_cast<float>(kBypassCost); };
      costs_[i] = {priced(kBinCosts.zero[i]), priced(kBinCosts.one[i])};
    }
    for (std::size_t slot = 0; slot < slots; ++slot) restart(slot);
  }

  // As the tensor or a block row starts.
  void restart(std::size_t slot) { std::copy(start_.begin(), start_.end(), of(slot)); }
  void copy(std::size_t from, std::size_t to) {
    const ContextModel* source = of(from);
    ContextModel* target = of(to);
    for (std::size_t i = 0; i < size_; i += kBlock) std::memcpy(target + i, source + i, kBlock * sizeof(ContextModel));
  }

  [[nodiscard]] float cost(const ContextModel& context, bool bin) const { return costs(context)[bin ? 1 : 0]; }
  // Of a bin with a context of ContextLayout, being 0 and being 1.
  [[nodiscard]] const std::array<float, 2>& significance(std::size_t slot, int index) const {
    return costs(of(slot)[place(LevelBin::kSignificance, index)]);
  }
  [[nodiscard]] const std::array<float, 2>& sign(std::size_t slot, int index) const {
    return costs(of(slot)[place(LevelBin::kSign, index)]);
  }

  // Costs of what follows the sign of a value, for magnitudes `first` and first + 1; below 1 it is left alone.
  void magnitudes(std::size_t slot, const Neighbourhood& near, bool negative, std::int64_t first,
                  std::array<float, 2>& found) const {
    const ContextModel* contexts = of(slot);
    const auto greater = [&](std::int64_t j) -> const std::array<float, 2>& {
      return costs(contexts[place(LevelBin::kGreater, near.greater(layout_, static_cast<int>(j), negative))]);
    };
    if (first < 1) {
      found[1] = greater(0)[0];
      return;
    }
    float ones = 0;
    std::int64_t j = 0;
    for (const std::int64_t end = std::min<std::int64_t>(first - 1, layout_.unary); j < end; ++j) ones += greater(j)[1];
    int k = 0;
    for (std::int64_t i = 0; i < 2; ++i) {
      const std::int64_t magnitude = first + i;
      if (magnitude <= layout_.unary) {
        const std::array<float, 2>& flag = greater(magnitude - 1);
        found[static_cast<std::size_t>(i)] = ones + flag[0];
        ones += flag[1];
        continue;
      }
      for (const int last = prefix_length(magnitude, layout_.unary); k < last; ++k)
        ones += cost(contexts[prefix_ + k], true) + bit_;
      found[static_cast<std::size_t>(i)] = ones + (k < ContextLayout::kPrefixCount ? cost(contexts[prefix_ + k], false) : 0.0F);
    }
  }

  // Adapts to one coded value.
  void adapt(std::size_t slot, const Neighbourhood& near, std::int64_t value) {
    ContextModel* contexts = of(slot);
    for_each_level_bin(layout_, near, value,
                       [&](LevelBin group, int index, bool bin) { contexts[place(group, index)].update(bin); });
  }

 private:
  // A slot holds the contexts of ContextLayout that the tensor can use, those of earlier updates last.
  static constexpr int kSign = ContextLayout::kSignificanceBase;
  static constexpr int kGreater = kSign + ContextLayout::kGreater - ContextLayout::kSign;
  static constexpr std::size_t kBlock = 16;  // contexts copied at a time

  [[nodiscard]] int place(LevelBin group, int index) const {
    if (group == LevelBin::kSignificance) return index < kSign ? index : index - kSign + earlier_;
    if (group == LevelBin::kPrefix) return index - layout_.prefix() + prefix_;
    return index - ContextLayout::kSign + kSign;
  }
  [[nodiscard]] const std::array<float, 2>& costs(const ContextModel& context) const {
    return costs_[static_cast<std::size_t>((context.state() >> 7) + 32)];
  }
  [[nodiscard]] ContextModel* of(std::size_t slot) { return contexts_.data() + slot * size_; }
  [[nodiscard]] const ContextModel* of(std::size_t slot) const { return contexts_.data() + slot * size_; }

  const ContextLayout layout_;
  int prefix_ = 0;        // place of the first prefix
  int earlier_ = 0;       // place of the first significance context of earlier updates
  std::size_t size_ = 0;  // contexts of a slot
  std::vector<ContextModel> start_;
  std::vector<ContextModel> contexts_;
  std::array<std::array<float, 2>, 64> costs_{};  // by (S >> 7) + 32, of a bin being 0 and being 1
  const float bit_;
};

}  // namespace nnr
