// SPDX-License-Identifier: Apache-2.0
#include "nnr/trellis.hpp"

#include <cmath>
#include <limits>

#include "nnr/processor.hpp"

#if NNR_X86_KERNELS
#include <immintrin.h>
#endif

namespace nnr {

namespace {

#if NNR_X86_KERNELS

// The incoming branches that the shuffles below assume.
constexpr bool leads(std::size_t to, Branch first, Branch second) {
  return kIncoming[to][0] == first && kIncoming[to][1] == second;
}
static_assert(leads(0, {0, 0}, {4, 1}) && leads(2, {0, 1}, {4, 0}) && leads(4, {3, 1}, {7, 0}) && leads(6, {3, 0}, {7, 1}));
static_assert(leads(1, {2, 0}, {6, 1}) && leads(3, {2, 1}, {6, 0}) && leads(5, {1, 1}, {5, 0}) && leads(7, {1, 0}, {5, 1}));

[[gnu::target("avx2")]] void run_avx2(std::array<double, kTrellisStates>& costs, const float* weights, std::size_t count,
                                      double inverse, std::uint8_t* decisions) {
  // Sets in the order 0 1 3 2: their distortions belong to the first branches into states 0 2 4 6 and, swapped in pairs, 3 1 7 5.
  const __m256d offsets = _mm256_setr_pd(kSetOffsets[0], kSetOffsets[1], kSetOffsets[3], kSetOffsets[2]);
  const __m256d rounder = _mm256_set1_pd(kRounder);
  const __m256d zero_thresholds = _mm256_setr_pd(kZeroThresholds[0], kZeroThresholds[1], kZeroThresholds[3], kZeroThresholds[2]);
  const __m256d sign = _mm256_set1_pd(-0.0);
  __m256d low = _mm256_setr_pd(costs[0], costs[2], costs[3], costs[1]);
  __m256d high = _mm256_setr_pd(costs[4], costs[6], costs[7], costs[5]);
  for (std::size_t n = 0; n < count; ++n) {
    const __m256d x = _mm256_andnot_pd(sign, _mm256_set1_pd(static_cast<double>(weights[n]) * inverse));
    const __m256d scaled = _mm256_mul_pd(_mm256_sub_pd(x, offsets), _mm256_set1_pd(0.25));
    const __m256d rounded = _mm256_sub_pd(_mm256_add_pd(scaled, rounder), rounder);
    const __m256d grid = _mm256_max_pd(_mm256_add_pd(_mm256_mul_pd(rounded, _mm256_set1_pd(4.0)), offsets), offsets);
    const __m256d magnitude = _mm256_andnot_pd(_mm256_cmp_pd(x, zero_thresholds, _CMP_LT_OQ), grid);
    const __m256d error = _mm256_sub_pd(x, magnitude);
    const __m256d straight = _mm256_mul_pd(error, error);
    const __m256d swapped = _mm256_permute_pd(straight, 0b0101);

    // Into states 0 2 4 6 from 0 0 3 3 or 4 4 7 7, and into 3 1 7 5 from 2 2 1 1 or 6 6 5 5.
    const __m256d even_first = _mm256_add_pd(_mm256_permute_pd(low, 0b0000), straight);
    const __m256d even_second = _mm256_add_pd(_mm256_permute_pd(high, 0b0000), swapped);
    const __m256d odd_first = _mm256_add_pd(_mm256_permute_pd(low, 0b1111), swapped);
    const __m256d odd_second = _mm256_add_pd(_mm256_permute_pd(high, 0b1111), straight);
    const __m256d even = _mm256_min_pd(even_second, even_first);
    const __m256d odd = _mm256_min_pd(odd_second, odd_first);
    const int even_bits = _mm256_movemask_pd(_mm256_cmp_pd(even_second, even_first, _CMP_LT_OQ));
    const int odd_bits = _mm256_movemask_pd(_mm256_cmp_pd(odd_second, odd_first, _CMP_LT_OQ));
    decisions[n] = static_cast<std::uint8_t>(even_bits | odd_bits << 4);
    low = _mm256_permute2f128_pd(even, odd, 0x20);
    high = _mm256_permute2f128_pd(even, odd, 0x31);
  }
  alignas(32) std::array<double, 4> lows;
  alignas(32) std::array<double, 4> highs;
  _mm256_store_pd(lows.data(), low);
  _mm256_store_pd(highs.data(), high);
  costs = {lows[0], lows[3], lows[1], lows[2], highs[0], highs[3], highs[1], highs[2]};
}

#endif

}  // namespace

Trellis::Trellis() {
  costs.fill(std::numeric_limits<double>::infinity());
  costs[0] = 0;
}

void Trellis::run_reference(const float* weights, std::size_t count, double inverse, std::uint8_t* decisions) {
  for (std::size_t n = 0; n < count; ++n) {
    const double x = std::abs(static_cast<double>(weights[n]) * inverse);
    std::array<double, 4> distortion;
    for (std::size_t set = 0; set < distortion.size(); ++set) {
      const double error = x - nearest_magnitude(x, set);
      distortion[set] = error * error;
    }
    std::array<double, kTrellisStates> next;
    unsigned decision = 0;
    for (std::size_t t = 0; t < kTrellisStates; ++t) {
      const Branch first = kIncoming[t][0];
      const Branch second = kIncoming[t][1];
      const double via_first = costs[static_cast<std::size_t>(first.state)] + distortion[candidate_set(first)];
      const double via_second = costs[static_cast<std::size_t>(second.state)] + distortion[candidate_set(second)];
      next[t] = via_second < via_first ? via_second : via_first;
      decision |= (via_second < via_first ? 1U : 0U) << kDecisionBit[t];
    }
    costs = next;
    decisions[n] = static_cast<std::uint8_t>(decision);
  }
}

void Trellis::run(const float* weights, std::size_t count, double inverse, std::uint8_t* decisions) {
#if NNR_X86_KERNELS
  static const bool avx2 = has_avx2();
  if (avx2) return run_avx2(costs, weights, count, inverse, decisions);
#endif
  run_reference(weights, count, inverse, decisions);
}

}  // namespace nnr
