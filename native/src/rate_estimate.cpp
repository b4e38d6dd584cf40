// SPDX-License-Identifier: Apache-2.0
#include "nnr/rate_estimate.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "nnr/context_bank.hpp"
#include "nnr/level_bins.hpp"

namespace nnr {

namespace {

// A Sink that adds up costs.
class CountingSink {
 public:
  CountingSink(const ContextLayout& layout, RateEstimate& estimate) : layout_(layout), estimate_(estimate) {}

  void regular(int index, bool bin) {
    ContextModel& context = contexts_[index];
    slot(index) += bin_cost(context, bin);
    context.update(bin);
  }
  // Bypass bins before the first level are side information; later ones belong to escapes.
  void bypass(bool) { estimate_.side += kBypassCost; }
  void bypass_bins(std::uint32_t, int count) {
    (in_levels_ ? estimate_.escape : estimate_.side) += std::int64_t{count} * kBypassCost;
  }
  void restart_range() {}
  void initialise(int index, int initialisation) { contexts_.initialise(index, initialisation); }
  void reset_contexts() { contexts_.reset(); }

 private:
  std::int64_t& slot(int index) {
    if (index < ContextLayout::kSign) {
      in_levels_ = true;
      return estimate_.significance;
    }
    if (index < ContextLayout::kGreater) return estimate_.sign;
    if (index < layout_.prefix()) return estimate_.greater;
    return index < layout_.parameter_flag() ? estimate_.escape : estimate_.side;
  }

  const ContextLayout& layout_;
  RateEstimate& estimate_;
  ContextBank<ContextModel> contexts_{0};
  bool in_levels_ = false;
};

}  // namespace

Status estimate_rate(const TensorCoding& coding, const std::int32_t* levels, const TensorChoices& choices,
                     RateEstimate& estimate) {
  const ContextLayout layout(coding.unary_length);
  CountingSink sink(layout, estimate);
  TensorEncoder encoder(sink, coding);
  std::uint64_t failed_at = 0;
  const Outcome outcome = encoder.encode(levels, choices, failed_at, [](int) {});
  return {outcome, failed_at, 0};
}

std::vector<std::int64_t> magnitude_costs(std::span<const std::int32_t> values, std::span<const int> candidates) {
  // The initialisation that greater-than flags and prefixes mostly get: a slow one that expects more ones than zeros.
  constexpr int kInitialisation = 4;
  // Approximate cost of signalling a context's initialisation: a flag, and three bins for an initialisation other than 0.
  constexpr std::int64_t kSignalling = kBypassCost / 2;
  const int longest = candidates.empty() ? 0 : *std::max_element(candidates.begin(), candidates.end());
  struct PricedContext {
    ContextModel context;
    std::int64_t cost = kSignalling;

    void add(bool bin) {
      cost += bin_cost(context, bin);
      context.update(bin);
    }
  };
  PricedContext fresh;
  fresh.context.initialise(kInitialisation);
  std::vector<std::array<PricedContext, 2>> flags(static_cast<std::size_t>(longest), {fresh, fresh});
  std::vector<std::array<PricedContext, ContextLayout::kPrefixCount>> prefixes(candidates.size());
  for (auto& prefix : prefixes) prefix.fill(fresh);
  std::vector<std::int64_t> costs(candidates.size(), ContextLayout::kPrefixCount * kSignalling);

  for (const std::int32_t value : values) {
    if (value == 0) continue;
    const std::size_t negative = value < 0 ? 1 : 0;
    const std::int64_t magnitude = std::abs(std::int64_t{value});
    for (std::int64_t j = 0; j < std::min<std::int64_t>(magnitude, longest); ++j)
      flags[static_cast<std::size_t>(j)][negative].add(magnitude > j + 1);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (magnitude <= candidates[i]) continue;
      const int k = prefix_length(magnitude, candidates[i]);
      for (int j = 0; j < k; ++j) prefixes[i][static_cast<std::size_t>(j)].add(true);
      if (k < ContextLayout::kPrefixCount) prefixes[i][static_cast<std::size_t>(k)].add(false);
      costs[i] += std::int64_t{k} * kBypassCost;
    }
  }
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    for (int j = 0; j < candidates[i]; ++j)
      for (const PricedContext& flag : flags[static_cast<std::size_t>(j)]) costs[i] += flag.cost;
    for (const PricedContext& prefix : prefixes[i]) costs[i] += prefix.cost - kSignalling;
  }
  return costs;
}

}  // namespace nnr
