// SPDX-License-Identifier: Apache-2.0
#include "nnr/level_kernel.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "nnr/inline.hpp"
#include "nnr/processor.hpp"
#include "nnr/tables.hpp"

// One body compiled twice: for any x86-64, and for those that count zeros and shift by a variable in one cycle.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(NNR_SMALL)
#define NNR_HAS_BMI_KERNEL 1
#endif

namespace nnr {

namespace {

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();
// As in TensorDecoder, which looks for overruns after each of these positions.
constexpr std::uint64_t kCheckInterval = TensorCoding::kOverrunCheckInterval;

// Zeros after zeros, while the trellis stands still: one context, held in registers as long as zero is its rule.
// Returns the position of the first level not decoded.
NNR_INLINE std::uint64_t decode_zeros(FastEngine& engine, FastContext& context, std::uint64_t i, std::uint64_t end,
                                      std::int32_t* levels) {
  FastContext local = context;
  for (; i < end; ++i) {
    const FastContext::Estimates old = local.estimates();
    const std::uint64_t mps_range = engine.range - local.lps(engine.range);
    if (old.state() >= 0 || engine.window >= mps_range) break;
    engine.take_mps<true>(mps_range);
    local.update<0>(old);
    levels[i] = 0;
  }
  context = local;
  return i;
}

// Exp-Golomb: the rest of a magnitude that `magnitude` has reached (format 5.3).
NNR_INLINE std::int64_t decode_escape(FastEngine& engine, FastContext* prefix, std::int64_t magnitude, std::int64_t limit) {
  int k = 0;
  while (k < ContextLayout::kPrefixCount && engine.decode(prefix[k])) {
    magnitude += std::int64_t{1} << k;
    ++k;
    if (limit - magnitude < (std::int64_t{1} << k)) break;
  }
  return k == 0 ? magnitude : magnitude + engine.decode_bypass_bins(k);
}

// kNear: contexts may depend on earlier updates (format 5.6).
template <bool kDependent, bool kCodebook, bool kNear>
NNR_INLINE Outcome decode_run(const LevelRun& run, const Segment& segment, std::int32_t* levels) {
  const TensorCoding& coding = run.coding;
  const ContextLayout layout(coding.unary_length);
  FastContext* const contexts = run.contexts;
  FastContext* const prefix = contexts + layout.prefix();
  const bool one_sided = kCodebook && coding.one_sided();
  FastEngine engine = run.engine;
  Neighbourhood near = run.near;
  std::ptrdiff_t sign_class = Neighbourhood::sign_class(near.previous);
  std::ptrdiff_t state = near.state;

  const auto leave = [&](Outcome outcome) {
    run.engine = engine;
    run.near.previous = sign_class == 1 ? -1 : sign_class;
    run.near.state = static_cast<int>(state);
    return outcome;
  };
  const auto rejected = [&](Outcome outcome) { return leave(engine.overrun() ? Outcome::kTruncated : outcome); };

  std::uint64_t i = segment.begin;
  const std::uint64_t end = segment.begin + segment.length;
  while (i < end) {
    const std::uint64_t stop = std::min(end, (i + kCheckInterval - 1) / kCheckInterval * kCheckInterval + 1);
    while (i < stop) {
      if constexpr (!kNear)
        if (sign_class == 0 && (!kDependent || kNextState[state][0] == state)) {
          i = decode_zeros(engine, contexts[3 * state], i, stop, levels);
          if (i == stop) break;
        }
      if constexpr (kNear) {
        near.base = coding.base != nullptr ? coding.base[i] : 0;
        near.history = run.history_enabled && coding.history != nullptr && coding.history[i] != 0;
        near.previous = sign_class == 1 ? -1 : sign_class;
        near.state = static_cast<int>(state);
      }

      if (!engine.decode(kNear ? contexts[near.significance()] : contexts[3 * state + sign_class])) {
        levels[i++] = 0;
        sign_class = 0;
        if constexpr (kDependent) state = kNextState[state][0];
        continue;
      }
      const bool negative = one_sided ? coding.codebook_zero != 0
                                      : engine.decode_even(contexts[kNear ? near.sign() : ContextLayout::kSign + sign_class]);
      const std::int64_t limit = kCodebook ? coding.codebook_limit(negative) : kUnlimited;
      std::int64_t magnitude = 1;
      bool greater = limit > 1;
      if constexpr (kNear) {
        for (int j = 0; greater && j < layout.unary && magnitude < limit; ++j) {
          greater = engine.decode(contexts[near.greater(layout, j, negative)]);
          magnitude += greater ? 1 : 0;
        }
      } else {
        FastContext* context = contexts + ContextLayout::kGreater + (negative ? 1 : 0);
        const std::int64_t most = std::min<std::int64_t>(limit, layout.unary + 1);
        while (magnitude < most) {
          greater = engine.decode(*context);
          if (!greater) break;
          ++magnitude;
          context += 2;
        }
      }
      if (greater && magnitude < limit) magnitude = decode_escape(engine, prefix, magnitude, limit);
      if constexpr (kCodebook)
        if (magnitude > limit) return rejected(Outcome::kNotInCodebook);

      sign_class = negative ? 1 : 2;
      if constexpr (kDependent) {
        const std::ptrdiff_t parity = magnitude & 1;
        magnitude = 2 * magnitude - (state & 1);
        state = kNextState[state][parity];
      }
      const std::int64_t level = negative ? -magnitude : magnitude;
      if (level != static_cast<std::int32_t>(level)) [[unlikely]] return rejected(Outcome::kLevelOverflow);
      levels[i++] = static_cast<std::int32_t>(level);
    }
    if (engine.overrun()) return leave(Outcome::kTruncated);
  }
  return leave(Outcome::kOk);
}

using Kernel = Outcome (*)(const LevelRun&, const Segment&, std::int32_t*);

template <bool kDependent, bool kCodebook, bool kNear>
Outcome portable_kernel(const LevelRun& run, const Segment& segment, std::int32_t* levels) {
  return decode_run<kDependent, kCodebook, kNear>(run, segment, levels);
}

#if defined(NNR_HAS_BMI_KERNEL)
template <bool kDependent, bool kCodebook, bool kNear>
[[gnu::target("bmi,bmi2,lzcnt"), gnu::flatten]] Outcome bmi_kernel(const LevelRun& run, const Segment& segment,
                                                                     std::int32_t* levels) {
  return decode_run<kDependent, kCodebook, kNear>(run, segment, levels);
}

#else
template <bool kDependent, bool kCodebook, bool kNear>
constexpr Kernel bmi_kernel = nullptr;
#endif

struct Kernels {
  Kernel by[2][2][2];  // dependent, codebook, near
};

constexpr Kernels kPortable = {{{{portable_kernel<false, false, false>, portable_kernel<false, false, true>},
                                 {portable_kernel<false, true, false>, portable_kernel<false, true, true>}},
                                {{portable_kernel<true, false, false>, portable_kernel<true, false, true>},
                                 {portable_kernel<true, true, false>, portable_kernel<true, true, true>}}}};
constexpr Kernels kBmi = {{{{bmi_kernel<false, false, false>, bmi_kernel<false, false, true>},
                            {bmi_kernel<false, true, false>, bmi_kernel<false, true, true>}},
                           {{bmi_kernel<true, false, false>, bmi_kernel<true, false, true>},
                            {bmi_kernel<true, true, false>, bmi_kernel<true, true, true>}}}};

}  // namespace

Outcome decode_levels(const LevelRun& run, const Segment& segment, std::int32_t* levels) {
  static const Kernels& kernels = has_bmi() ? kBmi : kPortable;
  const bool near = run.coding.base != nullptr || (run.history_enabled && run.coding.history != nullptr);
  return kernels.by[run.coding.dependent ? 1 : 0][run.coding.codebook_size > 0 ? 1 : 0][near ? 1 : 0](run, segment, levels);
}

}  // namespace nnr
