// SPDX-License-Identifier: Apache-2.0
#include "nnr/shared_trellis.hpp"

#include <algorithm>

#include "nnr/processor.hpp"

#if NNR_X86_KERNELS
#include <immintrin.h>
#endif

namespace nnr {

namespace {

#if NNR_X86_KERNELS

[[gnu::target("avx2")]] void run_avx2(std::array<SharedTrellis::Costs, 2>& costs, const CandidateCosts& candidates,
                                      std::size_t count, const SharedRates& rates, SharedDecision* decisions) {
  const auto& even = kPreviousState[0];
  const auto& odd = kPreviousState[1];
  const __m256i after_even = _mm256_setr_epi32(even[0], even[1], even[2], even[3], even[4], even[5], even[6], even[7]);
  const __m256i after_odd = _mm256_setr_epi32(odd[0], odd[1], odd[2], odd[3], odd[4], odd[5], odd[6], odd[7]);
  __m256 zero = _mm256_load_ps(costs[0].data());
  __m256 nonzero = _mm256_load_ps(costs[1].data());
  for (std::size_t n = 0; n < count; ++n) {
    const TransitionRates& rate = rates[candidates.transition[n]];
    const __m256 zero_first = _mm256_add_ps(zero, _mm256_load_ps(rate.zero[0].data()));
    const __m256 zero_second = _mm256_add_ps(nonzero, _mm256_load_ps(rate.zero[1].data()));
    const __m256 nonzero_first = _mm256_add_ps(zero, _mm256_load_ps(rate.nonzero[0].data()));
    const __m256 nonzero_second = _mm256_add_ps(nonzero, _mm256_load_ps(rate.nonzero[1].data()));
    const __m256 before_zero = _mm256_min_ps(zero_second, zero_first);
    const __m256 before_nonzero = _mm256_min_ps(nonzero_second, nonzero_first);
    // The states before 0..3 have quantiser 0, and those before 4..7 quantiser 1.
    const __m256 even_values =
        _mm256_blend_ps(_mm256_broadcast_ss(&candidates.nonzero[0][n]), _mm256_broadcast_ss(&candidates.nonzero[1][n]), 0xF0);
    const __m256 odd_values =
        _mm256_blend_ps(_mm256_broadcast_ss(&candidates.nonzero[2][n]), _mm256_broadcast_ss(&candidates.nonzero[3][n]), 0xF0);
    const __m256 via_even = _mm256_add_ps(_mm256_permutevar8x32_ps(before_nonzero, after_even), even_values);
    const __m256 via_odd = _mm256_add_ps(_mm256_permutevar8x32_ps(before_nonzero, after_odd), odd_values);
    zero = _mm256_add_ps(_mm256_permutevar8x32_ps(before_zero, after_even), _mm256_broadcast_ss(&candidates.zero[n]));
    nonzero = _mm256_min_ps(via_odd, via_even);
    const int zero_bits = _mm256_movemask_ps(_mm256_cmp_ps(zero_second, zero_first, _CMP_LT_OQ));
    const int nonzero_bits = _mm256_movemask_ps(_mm256_cmp_ps(nonzero_second, nonzero_first, _CMP_LT_OQ));
    const int parities = _mm256_movemask_ps(_mm256_cmp_ps(via_odd, via_even, _CMP_LT_OQ));
    decisions[n] = static_cast<SharedDecision>(zero_bits | nonzero_bits << 8 | parities << 16);
  }
  _mm256_store_ps(costs[0].data(), zero);
  _mm256_store_ps(costs[1].data(), nonzero);
}

constexpr bool quantizers_are_in_halves() {
  for (std::size_t state = 0; state < kTrellisStates; ++state)
    for (std::size_t parity = 0; parity < 2; ++parity)
      if (quantizer_of(kPreviousState[parity][state]) != (state < 4 ? 0 : 1)) return false;
  return true;
}
static_assert(quantizers_are_in_halves());

#endif

}  // namespace

void SharedTrellis::run_reference(const CandidateCosts& candidates, std::size_t count, const SharedRates& rates,
                                  SharedDecision* decisions) {
  for (std::size_t n = 0; n < count; ++n) {
    const TransitionRates& rate = rates[candidates.transition[n]];
    SharedDecision decision = 0;
    Costs before_zero;
    Costs before_nonzero;
    for (std::size_t state = 0; state < kTrellisStates; ++state) {
      const float zero_first = costs[0][state] + rate.zero[0][state];
      const float zero_second = costs[1][state] + rate.zero[1][state];
      const float nonzero_first = costs[0][state] + rate.nonzero[0][state];
      const float nonzero_second = costs[1][state] + rate.nonzero[1][state];
      before_zero[state] = zero_second < zero_first ? zero_second : zero_first;
      before_nonzero[state] = nonzero_second < nonzero_first ? nonzero_second : nonzero_first;
      decision |= (zero_second < zero_first ? 1U : 0U) << state;
      decision |= (nonzero_second < nonzero_first ? 1U : 0U) << (8 + state);
    }
    for (std::size_t state = 0; state < kTrellisStates; ++state) {
      const std::size_t even = kPreviousState[0][state];
      const std::size_t odd = kPreviousState[1][state];
      const float via_even = before_nonzero[even] + candidates.nonzero[quantizer_of(even)][n];
      const float via_odd = before_nonzero[odd] + candidates.nonzero[2 + quantizer_of(odd)][n];
      costs[0][state] = before_zero[even] + candidates.zero[n];
      costs[1][state] = via_odd < via_even ? via_odd : via_even;
      decision |= (via_odd < via_even ? 1U : 0U) << (16 + state);
    }
    decisions[n] = decision;
  }
  rebase();
}

void SharedTrellis::run(const CandidateCosts& candidates, std::size_t count, const SharedRates& rates,
                        SharedDecision* decisions) {
#if NNR_X86_KERNELS
  static const bool avx2 = has_avx2();
  if (avx2) {
    run_avx2(costs, candidates, count, rates, decisions);
    return rebase();
  }
#endif
  run_reference(candidates, count, rates, decisions);
}

void SharedTrellis::rebase() {
  float least = kUnreachableCost;
  for (const Costs& of_kind : costs) least = std::min(least, *std::min_element(of_kind.begin(), of_kind.end()));
  for (Costs& of_kind : costs)
    for (float& cost : of_kind) cost -= least;
}

}  // namespace nnr
