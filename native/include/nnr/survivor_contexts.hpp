// SPDX-License-Identifier: Apache-2.0
// The context models of every survivor of a trellis search, and the costs of their next bins.
//
// Each survivor owns a slot: the contexts of ContextLayout that the tensor can use. Costs are in squared steps.
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
  // Makes `slots` slots in their initial state. `weight` is the cost of a bit, `initialisations` is as in TensorChoices, and no
  // magnitude exceeds `largest`.
  SurvivorContexts(const TensorCoding& coding, bool history_enabled, std::span<const std::uint8_t> initialisations, double weight,
                   std::int64_t largest, std::size_t slots)
      : layout_(coding.unary_length), bit_cost_(static_cast<float>(weight)) {
    const bool temporal = coding.base != nullptr;
    prefix_begin_ =
        kGreater + (temporal ? 4 * layout_.unary : 2 * static_cast<int>(std::min<std::int64_t>(layout_.unary, largest)));
    updates_begin_ = prefix_begin_ + (largest > layout_.unary ? prefix_length(largest, layout_.unary) + 1 : 0);
    const int count =
        updates_begin_ + (temporal || history_enabled ? ContextLayout::kSign - ContextLayout::kSignificanceBase : 0);
    slot_size_ = (static_cast<std::size_t>(count) + kBlock - 1) / kBlock * kBlock;
    start_.resize(slot_size_);
    contexts_.resize(slot_size_ * slots);
    for (ContextModel& context : start_) context.initialise(0);
    std::size_t next = 0;
    for_each_initialised_context(coding, temporal, history_enabled, [&](int index) {
      if (next == initialisations.size()) return;
      const std::uint8_t initialisation = initialisations[next++];
      const bool greater = index >= ContextLayout::kGreater && index < layout_.prefix();
      const bool prefix = index >= layout_.prefix();
      const int slot_index = prefix ? place(LevelBin::kPrefix, index)
                                    : place(index < ContextLayout::kSign ? LevelBin::kSignificance : LevelBin::kGreater, index);
      if ((greater && slot_index >= prefix_begin_) || (prefix && slot_index >= updates_begin_)) return;
      start_[static_cast<std::size_t>(slot_index)].initialise(initialisation);
    });
    for (std::size_t i = 0; i < costs_.size(); ++i) {
      const auto priced = [&](std::uint32_t cost) {
        return bit_cost_ * static_cast<float>(cost) / static_cast<float>(kBypassCost);
      };
      costs_[i] = {priced(kBinCosts.zero[i]), priced(kBinCosts.one[i])};
    }
    for (std::size_t slot = 0; slot < slots; ++slot) restart(slot);
  }

  // Returns a slot to its initial state, as at the start of a block row.
  void restart(std::size_t slot) { std::copy(start_.begin(), start_.end(), contexts_of(slot)); }
  void copy(std::size_t from, std::size_t to) {
    const ContextModel* source = contexts_of(from);
    ContextModel* target = contexts_of(to);
    for (std::size_t i = 0; i < slot_size_; i += kBlock) std::memcpy(target + i, source + i, kBlock * sizeof(ContextModel));
  }

  [[nodiscard]] float cost(const ContextModel& context, bool bin) const { return costs(context)[bin ? 1 : 0]; }
  // Costs of a 0 and of a 1 with a context of ContextLayout.
  [[nodiscard]] const std::array<float, 2>& significance(std::size_t slot, int index) const {
    return costs(contexts_of(slot)[place(LevelBin::kSignificance, index)]);
  }
  [[nodiscard]] const std::array<float, 2>& sign(std::size_t slot, int index) const {
    return costs(contexts_of(slot)[place(LevelBin::kSign, index)]);
  }

  // Costs of the bins after the sign, for magnitudes `lower` and lower + 1. Entry 0 of `costs_after_sign` is not written when
  // `lower` is 0.
  void magnitudes(std::size_t slot, const Neighbourhood& neighbourhood, bool negative, std::int64_t lower,
                  std::array<float, 2>& costs_after_sign) const {
    const ContextModel* contexts = contexts_of(slot);
    const auto greater = [&](std::int64_t j) -> const std::array<float, 2>& {
      return costs(contexts[place(LevelBin::kGreater, neighbourhood.greater(layout_, static_cast<int>(j), negative))]);
    };
    if (lower < 1) {
      costs_after_sign[1] = greater(0)[0];
      return;
    }
    float ones = 0;
    std::int64_t j = 0;
    for (const std::int64_t end = std::min<std::int64_t>(lower - 1, layout_.unary); j < end; ++j) ones += greater(j)[1];
    int k = 0;
    for (std::int64_t i = 0; i < 2; ++i) {
      const std::int64_t magnitude = lower + i;
      if (magnitude <= layout_.unary) {
        const std::array<float, 2>& flag = greater(magnitude - 1);
        costs_after_sign[static_cast<std::size_t>(i)] = ones + flag[0];
        ones += flag[1];
        continue;
      }
      for (const int last = prefix_length(magnitude, layout_.unary); k < last; ++k)
        ones += cost(contexts[prefix_begin_ + k], true) + bit_cost_;
      costs_after_sign[static_cast<std::size_t>(i)] =
          ones + (k < ContextLayout::kPrefixCount ? cost(contexts[prefix_begin_ + k], false) : 0.0F);
    }
  }

  // Adapts a slot to one coded value.
  void adapt(std::size_t slot, const Neighbourhood& neighbourhood, std::int64_t value) {
    ContextModel* contexts = contexts_of(slot);
    for_each_level_bin(layout_, neighbourhood, value,
                       [&](LevelBin group, int index, bool bin) { contexts[place(group, index)].update(bin); });
  }

 private:
  // Layout of a slot: significance, sign, greater-than flags, prefixes, then the significance contexts of earlier updates.
  static constexpr int kSign = ContextLayout::kSignificanceBase;
  static constexpr int kGreater = kSign + ContextLayout::kGreater - ContextLayout::kSign;
  static constexpr std::size_t kBlock = 16;  // contexts copied at a time; slots are multiples of it

  [[nodiscard]] int place(LevelBin group, int index) const {
    if (group == LevelBin::kSignificance) return index < kSign ? index : index - kSign + updates_begin_;
    if (group == LevelBin::kPrefix) return index - layout_.prefix() + prefix_begin_;
    return index - ContextLayout::kSign + kSign;
  }
  [[nodiscard]] const std::array<float, 2>& costs(const ContextModel& context) const { return costs_[context.state_index()]; }
  [[nodiscard]] ContextModel* contexts_of(std::size_t slot) { return contexts_.data() + slot * slot_size_; }
  [[nodiscard]] const ContextModel* contexts_of(std::size_t slot) const { return contexts_.data() + slot * slot_size_; }

  const ContextLayout layout_;
  int prefix_begin_ = 0;       // index of the first prefix context in a slot
  int updates_begin_ = 0;      // index of the first significance context of earlier updates
  std::size_t slot_size_ = 0;  // contexts of a slot, rounded up
  std::vector<ContextModel> start_;
  std::vector<ContextModel> contexts_;
  std::array<std::array<float, 2>, ContextModel::kStateIndices> costs_{};  // of a 0 and of a 1, by state_index()
  const float bit_cost_;                                                   // cost of a bypass bin
};

}  // namespace nnr
