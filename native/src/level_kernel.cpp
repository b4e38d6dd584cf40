// SPDX-License-Identifier: Apache-2.0
#include "nnr/level_kernel.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "nnr/dependent_quantization.hpp"
#include "nnr/inline.hpp"
#include "nnr/processor.hpp"

namespace nnr {

namespace {

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();
// Overruns are checked at the positions at which TensorDecoder checks them.
constexpr std::uint64_t kCheckInterval = TensorCoding::kOverrunCheckInterval;

// Decodes a run of zeros in a state that zeros do not leave: one context, held in registers while 0 is its more probable symbol.
// Returns the position of the first level not decoded.
NNR_INLINE std::uint64_t decode_zeros(FastEngine& engine, FastContext& context, std::uint64_t i, std::uint64_t end,
                                      std::int32_t* levels) {
  FastContext local = context;
  for (; i < end; ++i) {
    const FastContext::Estimates estimates = local.estimates();
    const std::uint64_t lps = local.lps(engine.range);
    if (estimates.state() >= 0 || engine.distance <= lps) break;
    engine.take_mps<true>(lps);
    local.update<0>(estimates);
    levels[i] = 0;
  }
  context = local;
  return i;
}

// Decodes the Exp-Golomb code of a magnitude, of which `magnitude` is known (format 5.3).
NNR_INLINE std::int64_t decode_escape(FastEngine& engine, FastContext* prefix, std::int64_t magnitude, std::int64_t limit) {
  int k = 0;
  while (k < ContextLayout::kPrefixCount && engine.decode(prefix[k])) {
    magnitude += std::int64_t{1} << k;
    ++k;
    if (limit - magnitude < (std::int64_t{1} << k)) break;
  }
  return k == 0 ? magnitude : magnitude + engine.decode_bypass_bins(k);
}

// The body of all kernels. kTemporal: contexts depend on earlier updates (format 5.6). The other two are constants or flags.
template <bool kTemporal, class Dependent, class Codebook>
NNR_INLINE Outcome decode_run(const LevelRun& run, const Segment& segment, std::int32_t* levels, Dependent dependent,
                              Codebook codebook) {
  const TensorCoding& coding = run.coding;
  const ContextLayout layout(coding.unary_length);
  FastContext* const contexts = run.contexts;
  FastContext* const prefix = contexts + layout.prefix();
  const bool one_sided = codebook && coding.one_sided();
  FastEngine engine = run.engine;
  Neighbourhood neighbourhood = run.neighbourhood;
  std::ptrdiff_t sign_class = Neighbourhood::sign_class(neighbourhood.previous);
  std::ptrdiff_t state = neighbourhood.state;

  const auto leave = [&](Outcome outcome) {
    run.engine = engine;
    run.neighbourhood.previous = Neighbourhood::value_of_class(sign_class);
    run.neighbourhood.state = static_cast<int>(state);
    return outcome;
  };
  const auto rejected = [&](Outcome outcome) { return leave(engine.overrun() ? Outcome::kTruncated : outcome); };

  std::uint64_t i = segment.begin;
  const std::uint64_t end = segment.begin + segment.length;
  while (i < end) {
    const std::uint64_t stop = std::min(end, (i + kCheckInterval - 1) / kCheckInterval * kCheckInterval + 1);
    while (i < stop) {
      if constexpr (!kTemporal)
        if (sign_class == 0 && (!dependent || next_state(state, 0) == state)) {
          i = decode_zeros(engine, contexts[3 * state], i, stop, levels);
          if (i == stop) break;
        }
      if constexpr (kTemporal) {
        neighbourhood.locate(coding, run.history_enabled, i);
        neighbourhood.previous = Neighbourhood::value_of_class(sign_class);
        neighbourhood.state = static_cast<int>(state);
      }

      if (!engine.decode(kTemporal ? contexts[neighbourhood.significance()] : contexts[3 * state + sign_class])) {
        levels[i++] = 0;
        sign_class = 0;
        if (dependent) state = next_state(state, 0);
        continue;
      }
      const bool negative =
          one_sided ? coding.codebook_zero != 0
                    : engine.decode_branchless(contexts[kTemporal ? neighbourhood.sign() : ContextLayout::kSign + sign_class]);
      const std::int64_t limit = codebook ? coding.codebook_limit(negative) : kUnlimited;
      std::int64_t magnitude = 1;
      bool greater = limit > 1;
      if constexpr (kTemporal) {
        for (int j = 0; greater && j < layout.unary && magnitude < limit; ++j) {
          greater = engine.decode(contexts[neighbourhood.greater(layout, j, negative)]);
          magnitude += greater ? 1 : 0;
        }
      } else {
        FastContext* context = contexts + ContextLayout::kGreater + (negative ? 1 : 0);
        const std::int64_t longest = std::min<std::int64_t>(limit, layout.unary + 1);
        while (magnitude < longest) {
          greater = engine.decode(*context);
          if (!greater) break;
          ++magnitude;
          context += 2;
        }
      }
      if (greater && magnitude < limit) magnitude = decode_escape(engine, prefix, magnitude, limit);
      if (codebook && magnitude > limit) return rejected(Outcome::kNotInCodebook);

      sign_class = negative ? 1 : 2;
      if (dependent) {
        const std::int64_t value = magnitude;
        magnitude = magnitude_to_level(value, quantizer_of(state));
        state = next_state(state, value);
      }
      const std::int64_t level = negative ? -magnitude : magnitude;
      if (level != static_cast<std::int32_t>(level)) [[unlikely]]
        return rejected(Outcome::kLevelOverflow);
      levels[i++] = static_cast<std::int32_t>(level);
    }
    if (engine.overrun()) return leave(Outcome::kTruncated);
  }
  return leave(Outcome::kOk);
}

using Kernel = Outcome (*)(const LevelRun&, const Segment&, std::int32_t*);

#ifdef NNR_SMALL
template <bool kTemporal>
Outcome decode_run_small(const LevelRun& run, const Segment& segment, std::int32_t* levels) {
  return decode_run<kTemporal>(run, segment, levels, run.coding.dependent, run.coding.codebook_size > 0);
}
#else
template <bool kDependent, bool kCodebook, bool kTemporal>
Outcome decode_run_portable(const LevelRun& run, const Segment& segment, std::int32_t* levels) {
  return decode_run<kTemporal>(run, segment, levels, std::bool_constant<kDependent>(), std::bool_constant<kCodebook>());
}
#endif

#if NNR_X86_KERNELS
template <bool kDependent, bool kCodebook, bool kTemporal>
[[gnu::target("bmi,bmi2,lzcnt"), gnu::flatten]] Outcome decode_run_bmi2(const LevelRun& run, const Segment& segment,
                                                                        std::int32_t* levels) {
  return decode_run<kTemporal>(run, segment, levels, std::bool_constant<kDependent>(), std::bool_constant<kCodebook>());
}
#endif

struct Kernels {
  Kernel by[2][2][2];  // dependent, codebook, temporal
};

#ifdef NNR_SMALL
constexpr Kernel kTemporal = decode_run_small<true>, kOther = decode_run_small<false>;
constexpr Kernels kPortable = {{{{kOther, kTemporal}, {kOther, kTemporal}}, {{kOther, kTemporal}, {kOther, kTemporal}}}};
#else
constexpr Kernels kPortable = {{{{decode_run_portable<false, false, false>, decode_run_portable<false, false, true>},
                                 {decode_run_portable<false, true, false>, decode_run_portable<false, true, true>}},
                                {{decode_run_portable<true, false, false>, decode_run_portable<true, false, true>},
                                 {decode_run_portable<true, true, false>, decode_run_portable<true, true, true>}}}};
#endif
#if NNR_X86_KERNELS
constexpr Kernels kBmi2 = {{{{decode_run_bmi2<false, false, false>, decode_run_bmi2<false, false, true>},
                             {decode_run_bmi2<false, true, false>, decode_run_bmi2<false, true, true>}},
                            {{decode_run_bmi2<true, false, false>, decode_run_bmi2<true, false, true>},
                             {decode_run_bmi2<true, true, false>, decode_run_bmi2<true, true, true>}}}};
#endif

#if NNR_X86_KERNELS
// CPUID is slow, above all in a virtual machine, so its answer is kept. A static variable with an initialiser would need the C++
// run-time library.
const Kernels& kernels_of_processor() {
  static std::atomic<const Kernels*> known;
  const Kernels* kernels = known.load(std::memory_order_relaxed);
  if (kernels == nullptr) {
    kernels = has_bmi2() ? &kBmi2 : &kPortable;
    known.store(kernels, std::memory_order_relaxed);
  }
  return *kernels;
}
#endif

}  // namespace

Outcome decode_levels(const LevelRun& run, const Segment& segment, std::int32_t* levels) {
  assert(run.coding.codebook_size != 1 && segment.begin + segment.length <= run.coding.size());
#if NNR_X86_KERNELS
  const Kernels& kernels = kernels_of_processor();
#else
  constexpr const Kernels& kernels = kPortable;
#endif
  const bool temporal = run.coding.temporal(run.history_enabled);
  return kernels.by[run.coding.dependent ? 1 : 0][run.coding.codebook_size > 0 ? 1 : 0][temporal ? 1 : 0](run, segment, levels);
}

}  // namespace nnr
