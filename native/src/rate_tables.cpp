// SPDX-License-Identifier: Apache-2.0
#include "nnr/rate_tables.hpp"

#include <cstddef>

namespace nnr {

RateTables::RateTables(const TensorCoding& coding, bool history_enabled, std::span<const std::uint8_t> initialisations)
    : layout_(coding.unary_length),
      contexts_(static_cast<std::size_t>(layout_.count())),
      dependent_(coding.dependent),
      temporal_(coding.base != nullptr),
      updates_(temporal_ || history_enabled) {
  const auto places = static_cast<std::size_t>(layout_.unary) + 1;
  for (Unary& flags : unary_) flags = {std::vector<float>(places), std::vector<float>(places)};
  late_ = unary_[0];
  for (ContextModel& context : contexts_) context.initialise(0);
  std::size_t next = 0;
  for_each_initialised_context(coding, temporal_, history_enabled, [&](int index) {
    if (next < initialisations.size()) contexts_[static_cast<std::size_t>(index)].initialise(initialisations[next++]);
  });
}

void RateTables::adapt(Neighbourhood& neighbourhood, std::int64_t value) {
  for_each_level_bin(layout_, neighbourhood, value,
                     [&](LevelBin, int context, bool bin) { contexts_[static_cast<std::size_t>(context)].update(bin); });
  neighbourhood.previous = value;
  if (dependent_) neighbourhood.state = next_state(neighbourhood.state, value);
}

void RateTables::fill(Unary& flags, int first_context) const {
  float sum = 0;
  for (int j = 0; j < layout_.unary; ++j) {
    const ContextModel& context = contexts_[static_cast<std::size_t>(first_context + 2 * j)];
    const auto place = static_cast<std::size_t>(j);
    flags.ones[place] = sum;
    flags.stop[place] = scale_ * static_cast<float>(bin_cost(context, false));
    sum += scale_ * static_cast<float>(bin_cost(context, true));
  }
  flags.ones[static_cast<std::size_t>(layout_.unary)] = sum;
}

void RateTables::refresh(double weight) {
  scale_ = static_cast<float>(weight / kBypassCost);
  const auto cost = [&](int context, bool bin) {
    return scale_ * static_cast<float>(bin_cost(contexts_[static_cast<std::size_t>(context)], bin));
  };
  const int kinds = updates_ ? kHistory : kAfterPositive;
  const int states = dependent_ ? kTrellisStates : 1;
  for (int kind = 0; kind <= kinds; ++kind)
    for (int state = 0; state < states; ++state) {
      const int context = kind <= kAfterPositive ? ContextLayout::kSignificance + 3 * state + kind
                          : kind < kHistory      ? ContextLayout::kSignificanceBase + 2 * state + (kind - kSmallBase)
                                                 : ContextLayout::kSignificanceHistory + state;
      zero[static_cast<std::size_t>(kind)][static_cast<std::size_t>(state)] = cost(context, false);
      nonzero[static_cast<std::size_t>(kind)][static_cast<std::size_t>(state)] = cost(context, true);
    }
  for (std::size_t kind = 0; kind < sign.size(); ++kind) {
    // The sign contexts beside a base follow those of the level before.
    sign[kind][0] = cost(ContextLayout::kSign + static_cast<int>(kind), false);
    sign[kind][1] = cost(ContextLayout::kSign + static_cast<int>(kind), true);
  }
  fill(unary_[0], ContextLayout::kGreater);
  fill(unary_[1], ContextLayout::kGreater + 1);
  if (temporal_) {
    fill(unary_[2], layout_.greater_base());
    fill(late_, layout_.greater_base() + 1);
  }
  float sum = 0;
  for (int k = 0; k <= ContextLayout::kPrefixCount; ++k) {
    const float bypass = scale_ * static_cast<float>(kBypassCost) * static_cast<float>(k);
    const bool last = k == ContextLayout::kPrefixCount;
    escape_[static_cast<std::size_t>(k)] = sum + bypass + (last ? 0.0F : cost(layout_.prefix() + k, false));
    if (!last) sum += cost(layout_.prefix() + k, true);
  }
}

}  // namespace nnr
