// SPDX-License-Identifier: Apache-2.0
#include "nnr/initialisation_costs.hpp"

#include "nnr/context_model.hpp"
#include "nnr/processor.hpp"
#include "nnr/rate.hpp"

#if NNR_X86_KERNELS
#include <immintrin.h>
#endif

namespace nnr {

namespace {

// kBinCosts by bin, then ContextModel::state_index(), in the width of a sum.
struct CostTable {
  std::array<std::array<std::uint64_t, ContextModel::kStateIndices>, 2> by_bin;
};

const CostTable& cost_table() {
  static const CostTable table = [] {
    CostTable made{};
    for (std::size_t i = 0; i < ContextModel::kStateIndices; ++i) {
      made.by_bin[0][i] = kBinCosts.zero[i];
      made.by_bin[1][i] = kBinCosts.one[i];
    }
    return made;
  }();
  return table;
}

// The initial estimates of all nine models.
struct Starts {
  std::array<std::int16_t, InitialisationCosts::kLanes> t0{};
  std::array<std::int16_t, InitialisationCosts::kLanes> t1{};
};

constexpr Starts kStarts = [] {
  Starts starts;
  for (std::size_t i = 0; i < kInitialisationCount; ++i) {
    starts.t0[i] = static_cast<std::int16_t>(16 * kInitialisations[i].s0);
    starts.t1[i] = static_cast<std::int16_t>(kInitialisations[i].state - starts.t0[i]);
  }
  return starts;
}();

#if NNR_X86_KERNELS

// kStep / 16, which fits a byte, split at index 16 into one shuffle table for negative and one for positive estimates.
struct StepBytes {
  alignas(32) std::array<std::uint8_t, 32> negative;  // each table twice, for both halves of a vector
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

// Factors that replace per-lane shifts. The upper half of (256 * step / 16) * slow is the step shifted for the slow estimate;
// with `fast` it is 16 times the step shifted for the fast estimate, which is held times 16.
struct ShiftFactors {
  alignas(32) std::array<std::uint16_t, InitialisationCosts::kLanes> fast;
  alignas(32) std::array<std::uint16_t, InitialisationCosts::kLanes> slow;
};

constexpr ShiftFactors make_shift_factors() {
  ShiftFactors factors{};
  for (std::size_t i = 0; i < kInitialisationCount; ++i) {
    factors.fast[i] = static_cast<std::uint16_t>(1 << (16 - kInitialisations[i].fast_shift));
    factors.slow[i] = static_cast<std::uint16_t>(1 << (12 - kInitialisations[i].slow_shift));
  }
  return factors;
}

constexpr ShiftFactors kShiftFactors = make_shift_factors();

// The costs of two models in the halves of one word, so that one load and one addition serve both. Indexed by bin, then by 64
// times the state index of the first model plus that of the second. kZero is the index of two states S of 0.
struct PairCosts {
  static constexpr std::ptrdiff_t kZero = 64 * 32 + 32;
  std::array<std::array<std::uint64_t, 64 * 64>, 2> by_bin;
};

const PairCosts& pair_costs() {
  static const PairCosts table = [] {
    PairCosts made{};
    for (std::size_t bin = 0; bin < 2; ++bin)
      for (std::size_t i = 0; i < 64 * 64; ++i)
        made.by_bin[bin][i] = cost_table().by_bin[bin][i / 64] << 32 | cost_table().by_bin[bin][i % 64];
    return made;
  }();
  return table;
}

[[gnu::target("avx2")]] inline __m256i load(const void* from) { return _mm256_load_si256(static_cast<const __m256i*>(from)); }

// kStep[16 + (t >> 7)] / 16 of each lane, in the lane's upper byte.
[[gnu::target("avx2")]] inline __m256i steps(__m256i t) {
  // pshufb gives 0 where a byte's top bit is set: always in the lower bytes, and by the sign of t in the upper ones.
  const __m256i index = _mm256_or_si256(_mm256_slli_epi16(t, 1), _mm256_set1_epi16(0x0080));
  const __m256i positive = _mm256_shuffle_epi8(load(kStepBytes.positive.data()), index);
  const __m256i flipped = _mm256_xor_si256(index, _mm256_set1_epi16(static_cast<short>(0x8000)));
  return _mm256_or_si256(positive, _mm256_shuffle_epi8(load(kStepBytes.negative.data()), flipped));
}

// Adds in a general register. The empty assembly stops compilers from gathering the sums into vectors, which is slower.
inline void add(std::uint64_t& sum, std::uint64_t more) {
  sum += more;
  __asm__("" : "+r"(sum));
}

// The nine models of one context in registers; lane 2 * i is in the upper half of each sum.
struct LaneState {
  __m256i t0;
  __m256i t1;
  std::uint64_t sum01 = 0, sum23 = 0, sum45 = 0, sum67 = 0, sum8 = 0;

  [[gnu::target("avx2")]] explicit LaneState(const InitialisationCosts& from)
      : t0(load(from.t0.data())), t1(load(from.t1.data())) {}

  [[gnu::target("avx2")]] void run(const std::array<std::uint64_t, 64 * 64>& costs, __m256i sign) {
    const std::uint64_t* const zero_states = costs.data() + PairCosts::kZero;
    alignas(32) std::array<std::int32_t, InitialisationCosts::kLanes / 2> pair;
    const __m256i state = _mm256_srai_epi16(_mm256_add_epi16(t0, t1), 7);
    _mm256_store_si256(reinterpret_cast<__m256i*>(pair.data()), _mm256_madd_epi16(state, _mm256_set1_epi32(64 | 1 << 16)));
    add(sum01, zero_states[pair[0]]);
    add(sum23, zero_states[pair[1]]);
    add(sum45, zero_states[pair[2]]);
    add(sum67, zero_states[pair[3]]);
    add(sum8, zero_states[pair[4]]);
    const __m256i step0 = _mm256_mulhi_epu16(steps(_mm256_sign_epi16(t0, sign)), load(kShiftFactors.fast.data()));
    const __m256i step1 = _mm256_mulhi_epu16(steps(_mm256_sign_epi16(t1, sign)), load(kShiftFactors.slow.data()));
    // s0 has no fraction bits.
    const __m256i change0 = _mm256_and_si256(step0, _mm256_set1_epi16(static_cast<short>(0xFFF0)));
    t0 = _mm256_add_epi16(t0, _mm256_sign_epi16(change0, sign));
    t1 = _mm256_add_epi16(t1, _mm256_sign_epi16(step1, sign));
  }

  [[gnu::target("avx2")]] void store(InitialisationCosts& into) const {
    const std::array<std::uint64_t, 5> sums = {sum01, sum23, sum45, sum67, sum8};
    for (std::size_t i = 0; i < kInitialisationCount; ++i)
      into.cost[i] += i % 2 == 0 ? sums[i / 2] >> 32 : sums[i / 2] & 0xFFFFFFFFU;
    _mm256_store_si256(reinterpret_cast<__m256i*>(into.t0.data()), t0);
    _mm256_store_si256(reinterpret_cast<__m256i*>(into.t1.data()), t1);
  }
};

[[gnu::target("avx2")]] void run_avx2(InitialisationCosts& model_costs, const std::uint8_t* bins, std::size_t count) {
  const auto& costs = pair_costs().by_bin;
  const __m256i signs[2] = {_mm256_set1_epi16(-1), _mm256_set1_epi16(1)};
  LaneState lanes(model_costs);
  for (std::size_t n = 0; n < count; ++n) lanes.run(costs[bins[n]], signs[bins[n]]);
  lanes.store(model_costs);
}

// Interleaves two contexts: the dependency chain from bin to bin of one leaves half of the processor's throughput unused.
[[gnu::target("avx2")]] void run_pair_avx2(InitialisationCosts& first, const std::uint8_t* first_bins,
                                           InitialisationCosts& second, const std::uint8_t* second_bins, std::size_t count) {
  const auto& costs = pair_costs().by_bin;
  const __m256i signs[2] = {_mm256_set1_epi16(-1), _mm256_set1_epi16(1)};
  LaneState a(first);
  LaneState b(second);
  for (std::size_t n = 0; n < count; ++n) {
    a.run(costs[first_bins[n]], signs[first_bins[n]]);
    b.run(costs[second_bins[n]], signs[second_bins[n]]);
  }
  a.store(first);
  b.store(second);
}

bool use_avx2() {
  static const bool supported = has_avx2();
  return supported;
}

#endif

}  // namespace

void InitialisationCosts::restart() {
  t0 = kStarts.t0;
  t1 = kStarts.t1;
}

void InitialisationCosts::run_reference(const std::uint8_t* bins, std::size_t count) {
  const auto& costs = cost_table().by_bin;
  for (std::size_t i = 0; i < kInitialisationCount; ++i) {
    ContextModel model{.s1 = t1[i], .s0 = static_cast<std::int8_t>(t0[i] / 16), .initialisation = static_cast<std::uint8_t>(i)};
    for (std::size_t n = 0; n < count; ++n) {
      const std::size_t bin = bins[n];
      cost[i] += costs[bin][model.state_index()];
      model.update(bin != 0);
    }
    t0[i] = static_cast<std::int16_t>(16 * model.s0);
    t1[i] = model.s1;
  }
}

void InitialisationCosts::run(const std::uint8_t* bins, std::size_t count) {
#if NNR_X86_KERNELS
  if (use_avx2()) return run_avx2(*this, bins, count);
#endif
  run_reference(bins, count);
}

void InitialisationCosts::run_pair(InitialisationCosts& first, const std::uint8_t* first_bins, InitialisationCosts& second,
                                   const std::uint8_t* second_bins, std::size_t count) {
#if NNR_X86_KERNELS
  if (use_avx2()) return run_pair_avx2(first, first_bins, second, second_bins, count);
#endif
  first.run_reference(first_bins, count);
  second.run_reference(second_bins, count);
}

}  // namespace nnr
