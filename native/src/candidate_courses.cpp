// SPDX-License-Identifier: Apache-2.0
#include "nnr/candidate_courses.hpp"

#include "nnr/fast_context.hpp"
#include "nnr/rate.hpp"
#include "nnr/processor.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define NNR_HAS_AVX2_COURSES 1
#endif

namespace nnr {

namespace {

// By bin, then (S >> 7) + 32; wide enough to be added to a sum from memory.
struct CostTable {
  std::array<std::array<std::uint64_t, 64>, 2> of;
};

const CostTable& cost_table() {
  static const CostTable table = [] {
    CostTable made{};
    for (std::size_t i = 0; i < 64; ++i) made.of[0][i] = kBinCosts.zero[i];
    for (std::size_t i = 0; i < 64; ++i) made.of[1][i] = kBinCosts.one[i];
    return made;
  }();
  return table;
}

#if defined(NNR_HAS_AVX2_COURSES)

// kStep is 16 times a byte, and one value but for its ends: 16 entries for negative indices, a constant up to a last 0.
struct StepBytes {
  alignas(32) std::array<std::uint8_t, 32> negative;  // twice, for both halves of a vector
  alignas(32) std::array<std::uint8_t, 32> positive;
};

constexpr StepBytes make_step_bytes() {
  StepBytes bytes{};
  for (std::size_t i = 0; i < 32; ++i) {
    bytes.negative[i] = static_cast<std::uint8_t>(kStep[i & 15] / 16);
    bytes.positive[i] = static_cast<std::uint8_t>(kStep[16 + (i & 15)] / 16);
  }
  return bytes;
}

constexpr bool fit_bytes() {
  for (const std::uint16_t step : kStep)
    if (step % 16 != 0 || step / 16 > 255) return false;
  return true;
}
static_assert(fit_bytes());

constexpr StepBytes kStepBytes = make_step_bytes();

// Multiplying by these and shifting right by 8 shifts a step by the candidate's own shift, less the 4 of kStepBytes.
struct ShiftFactors {
  alignas(32) std::array<std::uint16_t, CandidateCourses::kLanes> fast;
  alignas(32) std::array<std::uint16_t, CandidateCourses::kLanes> slow;
};

constexpr ShiftFactors make_shift_factors() {
  ShiftFactors factors{};
  for (std::size_t i = 0; i < kInitialisationCount; ++i) {
    factors.fast[i] = static_cast<std::uint16_t>(256 >> (kInitialisations[i].a - 4));
    factors.slow[i] = static_cast<std::uint16_t>(256 >> (kInitialisations[i].b_shift - 4));
  }
  return factors;
}

constexpr ShiftFactors kShiftFactors = make_shift_factors();

[[gnu::target("avx2")]] inline __m256i load(const void* from) { return _mm256_load_si256(static_cast<const __m256i*>(from)); }

// kStep[16 + (t >> 7)] / 16 of each lane.
[[gnu::target("avx2")]] inline __m256i steps(__m256i t) {
  // pshufb gives 0 where a byte's top bit is set: that of the upper bytes always is, that of the lower ones tells the sign.
  const __m256i index = _mm256_or_si256(_mm256_srai_epi16(t, 7), _mm256_set1_epi16(static_cast<short>(0xFF00)));
  const __m256i positive = _mm256_shuffle_epi8(load(kStepBytes.positive.data()), index);
  const __m256i flipped = _mm256_xor_si256(index, _mm256_set1_epi16(0x0080));
  return _mm256_or_si256(positive, _mm256_shuffle_epi8(load(kStepBytes.negative.data()), flipped));
}

[[gnu::target("avx2")]] void follow_by_vectors(CandidateCourses& courses, const std::uint8_t* bins, std::size_t count) {
  const auto& costs = cost_table().of;
  __m256i t0 = load(courses.t0.data());
  __m256i t1 = load(courses.t1.data());
  const __m256i fast = load(kShiftFactors.fast.data());
  const __m256i slow = load(kShiftFactors.slow.data());
  const __m256i signs[2] = {_mm256_set1_epi16(-1), _mm256_set1_epi16(1)};
  auto [c0, c1, c2, c3, c4, c5, c6, c7, c8] = courses.cost;
  for (std::size_t n = 0; n < count; ++n) {
    const std::size_t bin = bins[n];
    const std::uint64_t* const of = costs[bin].data() + 32;
    alignas(32) std::array<std::int16_t, CandidateCourses::kLanes> state;
    _mm256_store_si256(reinterpret_cast<__m256i*>(state.data()), _mm256_srai_epi16(_mm256_add_epi16(t0, t1), 7));
    c0 += of[state[0]];
    c1 += of[state[1]];
    c2 += of[state[2]];
    c3 += of[state[3]];
    c4 += of[state[4]];
    c5 += of[state[5]];
    c6 += of[state[6]];
    c7 += of[state[7]];
    c8 += of[state[8]];
    const __m256i sign = signs[bin];
    const __m256i step0 = _mm256_mullo_epi16(steps(_mm256_sign_epi16(t0, sign)), fast);
    const __m256i step1 = _mm256_mullo_epi16(steps(_mm256_sign_epi16(t1, sign)), slow);
    // Times 16 as t0 is, the bits shifted out being lost first.
    const __m256i change0 = _mm256_and_si256(_mm256_srli_epi16(step0, 4), _mm256_set1_epi16(0x0FF0));
    t0 = _mm256_add_epi16(t0, _mm256_sign_epi16(change0, sign));
    t1 = _mm256_add_epi16(t1, _mm256_sign_epi16(_mm256_srli_epi16(step1, 8), sign));
  }
  courses.cost = {c0, c1, c2, c3, c4, c5, c6, c7, c8};
  _mm256_store_si256(reinterpret_cast<__m256i*>(courses.t0.data()), t0);
  _mm256_store_si256(reinterpret_cast<__m256i*>(courses.t1.data()), t1);
}

#endif

}  // namespace

void CandidateCourses::restart() {
  for (std::size_t i = 0; i < kInitialisationCount; ++i) {
    FastContext context;
    context.initialise(static_cast<int>(i));
    t0[i] = static_cast<std::int16_t>(context.t0);
    t1[i] = static_cast<std::int16_t>(context.t1);
  }
}

void CandidateCourses::follow_plainly(const std::uint8_t* bins, std::size_t count) {
  const auto& costs = cost_table().of;
  for (std::size_t i = 0; i < kInitialisationCount; ++i) {
    const detail::Adaptation& adaptation = detail::kAdaptations[i];
    std::int32_t fast = t0[i];
    std::int32_t slow = t1[i];
    for (std::size_t n = 0; n < count; ++n) {
      const std::size_t bin = bins[n];
      const std::int32_t round = bin != 0 ? 0 : 127;
      cost[i] += costs[bin][static_cast<std::size_t>(((fast + slow) >> 7) + 32)];
      fast += adaptation.fast[bin][16 + ((fast + round) >> 7)];
      slow += adaptation.slow[bin][16 + ((slow + round) >> 7)];
    }
    t0[i] = static_cast<std::int16_t>(fast);
    t1[i] = static_cast<std::int16_t>(slow);
  }
}

void CandidateCourses::follow(const std::uint8_t* bins, std::size_t count) {
#if defined(NNR_HAS_AVX2_COURSES)
  static const bool by_vectors = has_avx2();
  if (by_vectors) return follow_by_vectors(*this, bins, count);
#endif
  follow_plainly(bins, count);
}

}  // namespace nnr
