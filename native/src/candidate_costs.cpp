// SPDX-License-Identifier: Apache-2.0
#include "nnr/candidate_costs.hpp"

#include <algorithm>

#include "nnr/processor.hpp"

namespace nnr {

namespace {

constexpr std::size_t kMostMagnitudes = 256;

NNR_INLINE std::uint32_t negative_of(float weight) { return std::signbit(weight) ? 1U : 0U; }

// Zeros stay zeros: they were pruned, or stand outside of a mask.
NNR_INLINE float cost_of_change(float weight) { return weight == 0 ? kUnreachableCost : 0.0F; }

// The costs of weights 1 to count - 1, written so that compilers turn it into vector instructions of the caller's target. Costs
// of magnitudes beyond the table are wrong. Returns the largest of the smaller candidates.
NNR_INLINE std::int32_t compute_loop(CandidateCosts& costs, const float* weights, std::size_t count, const CandidateScale& scale,
                                     const MagnitudeCosts& table) {
  const auto size = static_cast<std::int32_t>(table.size());
  const float* const magnitudes = table.of_sign(0);
  const float inverse = scale.inverse_step;
  const float zero_bias = scale.zero_bias;
  std::int32_t largest = 0;
  for (std::size_t n = 1; n < count; ++n) {
    const float x = std::abs(weights[n] * inverse);
    const std::int32_t begin = std::signbit(weights[n]) ? size : 0;
    costs.zero[n] = x * x;
    costs.transition[n] = transition_of(2 - negative_of(weights[n - 1]), negative_of(weights[n]));
    const float spared = cost_of_change(weights[n]);
    for (std::size_t quantizer = 0; quantizer < 2; ++quantizer) {
      const Candidates candidates(x, quantizer, zero_bias);
      largest = candidates.lower > largest ? candidates.lower : largest;
      const std::int32_t place = begin + (candidates.lower < size - 2 ? candidates.lower : size - 2);
      const float lower = candidates.error() * candidates.error() + magnitudes[place];
      const float upper = candidates.upper_error() * candidates.upper_error() + magnitudes[place + 1];
      const bool odd = (candidates.lower & 1) != 0;
      costs.nonzero[quantizer][n] = (odd ? upper : lower) + spared;
      costs.nonzero[2 + quantizer][n] = (odd ? lower : upper) + spared;
    }
  }
  return largest;
}

std::int32_t compute_portable(CandidateCosts& costs, const float* weights, std::size_t count, const CandidateScale& scale,
                              const MagnitudeCosts& magnitudes) {
  return compute_loop(costs, weights, count, scale, magnitudes);
}

#if NNR_X86_KERNELS
[[gnu::target("avx2")]] std::int32_t compute_avx2(CandidateCosts& costs, const float* weights, std::size_t count,
                                                  const CandidateScale& scale, const MagnitudeCosts& magnitudes) {
  return compute_loop(costs, weights, count, scale, magnitudes);
}
#endif

}  // namespace

MagnitudeCosts::MagnitudeCosts(std::int64_t largest)
    : size_(static_cast<std::size_t>(std::clamp<std::int64_t>(largest + 1, 3, kMostMagnitudes))), costs_(2 * size_) {}

void MagnitudeCosts::refresh(const RateTables& rates) {
  for (std::size_t negative = 0; negative < 2; ++negative) {
    float* const costs = costs_.data() + negative * size_;
    costs[0] = kUnreachableCost;
    for (std::size_t magnitude = 1; magnitude < size_; ++magnitude)
      costs[magnitude] = rates.magnitude(static_cast<std::int64_t>(magnitude), negative != 0);
  }
}

void CandidateCosts::compute(const float* weights, const float* importance, std::size_t count, bool first,
                             const CandidateScale& scale, const MagnitudeCosts& magnitudes, const RateTables& rates) {
#if NNR_X86_KERNELS
  static const auto loop = has_avx2() ? compute_avx2 : compute_portable;
#else
  constexpr auto loop = compute_portable;
#endif
  const auto compute_one = [&](std::size_t n, std::uint32_t class_before) {
    const float x = std::abs(weights[n] * scale.inverse_step);
    const float factor = importance != nullptr ? importance[n] : 1.0F;
    const std::uint32_t negative = negative_of(weights[n]);
    zero[n] = factor * (x * x);
    transition[n] = transition_of(class_before, negative);
    const float spared = cost_of_change(weights[n]);
    for (std::size_t quantizer = 0; quantizer < 2; ++quantizer) {
      const Candidates candidates(x, quantizer, scale.zero_bias);
      const auto rate = [&](std::int32_t magnitude) {
        return magnitude == 0 ? kUnreachableCost : rates.magnitude(magnitude, negative != 0);
      };
      const float lower = factor * (candidates.error() * candidates.error()) + rate(candidates.lower);
      const float upper = factor * (candidates.upper_error() * candidates.upper_error()) + rate(candidates.lower + 1);
      const bool odd = (candidates.lower & 1) != 0;
      nonzero[quantizer][n] = (odd ? upper : lower) + spared;
      nonzero[2 + quantizer][n] = (odd ? lower : upper) + spared;
    }
  };
  compute_one(0, first ? 0 : 2 - negative_of(weights[-1]));
  const bool all = importance != nullptr;
  if (!all && loop(*this, weights, count, scale, magnitudes) <= static_cast<std::int32_t>(magnitudes.size()) - 2) return;
  const float largest = 2.0F * static_cast<float>(magnitudes.size() - 2);
  for (std::size_t n = 1; n < count; ++n)
    if (all || !(std::abs(weights[n] * scale.inverse_step) < largest)) compute_one(n, 2 - negative_of(weights[n - 1]));
}

}  // namespace nnr
