// SPDX-License-Identifier: Apache-2.0
// Comparison of the fast engines and kernels with their references, state by state, over the same bins, levels or weights.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <span>
#include <vector>

#include "expect.hpp"
#include "nnr/arithmetic_decoder.hpp"
#include "nnr/arithmetic_encoder.hpp"
#include "nnr/bin_kernel.hpp"
#include "nnr/bin_run.hpp"
#include "nnr/dependent_quantization.hpp"
#include "nnr/fast_engine.hpp"
#include "nnr/initialisation_costs.hpp"
#include "nnr/tensor_encoder.hpp"
#include "nnr/trellis.hpp"

namespace {

using test::expect;
using test::expect_same;
using test::kContexts;
using test::state_of;

using FastContexts = std::array<nnr::FastContext, kContexts>;
using ReferenceContexts = std::array<nnr::ContextModel, kContexts>;

// Contexts of which the i-th starts from initialisation i.
template <class Contexts>
Contexts initialised() {
  Contexts contexts;
  for (std::size_t i = 0; i < kContexts; ++i) contexts[i].initialise(static_cast<int>(i));
  return contexts;
}

struct Bin {
  std::uint8_t context;  // kContexts for a bypass bin
  bool value;
};

// `count` bins in random contexts, each 1 with probability `one`.
std::vector<Bin> random_bins(unsigned seed, std::size_t count, double one) {
  std::mt19937 random(seed);
  std::bernoulli_distribution value(one);
  std::uniform_int_distribution<int> context(0, kContexts);
  std::vector<Bin> bins(count);
  for (Bin& bin : bins) bin = {static_cast<std::uint8_t>(context(random)), value(random)};
  return bins;
}

std::vector<std::uint8_t> encode(const std::vector<Bin>& bins) {
  nnr::ArithmeticEncoder encoder;
  auto contexts = initialised<FastContexts>();
  for (const Bin& bin : bins) {
    if (bin.context == kContexts)
      encoder.encode_bypass(bin.value);
    else
      encoder.encode(contexts[bin.context], bin.value);
  }
  encoder.finish();
  return encoder.take_bytes();
}

// Decodes bins in the contexts of `bins` from any bytes, by both decoders. With `encoded`, compares the values of the bins too.
void compare_decoders(std::span<const std::uint8_t> bytes, const std::vector<Bin>& bins, bool encoded) {
  nnr::ArithmeticDecoder reference(bytes);
  nnr::FastEngine fast(bytes);
  auto reference_contexts = initialised<ReferenceContexts>();
  auto fast_contexts = initialised<FastContexts>();
  for (std::size_t n = 0; n < bins.size(); ++n) {
    const std::size_t i = bins[n].context;
    bool reference_bin = false;
    bool fast_bin = false;
    if (i == kContexts) {
      reference_bin = reference.decode_bypass();
      fast_bin = fast.decode_bypass_bins(1) != 0;
    } else {
      reference_bin = reference.decode(reference_contexts[i]);
      // Rotates through the variants of the fast step.
      fast_bin = n % 3 == 0   ? fast.decode<true>(fast_contexts[i])
                 : n % 3 == 1 ? fast.decode<false>(fast_contexts[i])
                              : fast.decode_branchless(fast_contexts[i]);
    }
    const bool same_bin = expect(reference_bin == fast_bin && (!encoded || reference_bin == bins[n].value), "bin", n);
    const bool same_state =
        expect_same(state_of(reference, reference_contexts), state_of(fast, fast_contexts, bytes.data()), "decoder states", n);
    if (!same_bin || !same_state) return;  // all later differences follow from this one
  }
  expect(reference.decode_terminate() == fast.decode_terminate(), "terminating bin", bins.size());
  expect(reference.bits_read() == fast.bits_read(bytes.data()), "bits read at the end", bins.size());
}

void test_round_trips() {
  unsigned seed = 0;
  for (const double one : {0.0, 0.01, 0.3, 0.5, 0.9, 1.0})
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{57}, std::size_t{20000}}) {
      const std::vector<Bin> bins = random_bins(++seed, count, one);
      compare_decoders(encode(bins), bins, true);
    }
}

void test_arbitrary_bytes() {
  std::mt19937 random(7);
  std::uniform_int_distribution<int> byte_value(0, 255);
  for (std::size_t size = 0; size < 60; ++size) {
    std::vector<std::uint8_t> bytes(size);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(byte_value(random));
    // A first byte of 0xFF may give an offset that is not below the range. Payload decoders reject it before the engines.
    if (!bytes.empty()) bytes[0] &= 0x7F;
    compare_decoders(bytes, random_bins(static_cast<unsigned>(size), 2000, 0.5), false);
  }
}

// Bypass ones keep low just below a power of two, so that bytes of 0xFF accumulate; a later bin carries through all of them.
void test_carry_through_long_runs() {
  for (std::size_t length = 1; length < 4000; length = length * 3 / 2 + 1) {
    std::vector<Bin> bins(9, {kContexts, true});
    for (std::size_t i = 0; i < length; ++i) bins.push_back({kContexts, i % 2 == 0});
    const std::vector<Bin> tail = random_bins(static_cast<unsigned>(length), 200, 0.5);
    bins.insert(bins.end(), tail.begin(), tail.end());
    compare_decoders(encode(bins), bins, true);
  }
}

void test_strings_of_bypass_bins() {
  std::mt19937 random(3);
  std::uniform_int_distribution<int> random_count(1, 31);
  std::vector<int> counts(3000);
  std::vector<std::uint32_t> values(counts.size());
  nnr::ArithmeticEncoder encoder;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i] = random_count(random);
    values[i] = static_cast<std::uint32_t>(random()) & ((1U << counts[i]) - 1U);
    encoder.encode_bypass_bins(values[i], counts[i]);
  }
  encoder.finish();
  nnr::FastEngine fast(encoder.bytes());
  for (std::size_t i = 0; i < counts.size(); ++i) expect(fast.decode_bypass_bins(counts[i]) == values[i], "bypass bins", i);
}

// Encoding of runs, by the portable body and by the selected kernel, against encoding bin by bin.
void test_runs_of_bins() {
  unsigned seed = 100;
  for (const double one : {0.0, 0.01, 0.3, 0.5, 0.9, 1.0}) {
    std::mt19937 random(++seed);
    std::uniform_int_distribution<int> random_count(1, 31);
    nnr::ArithmeticEncoder by_bins;
    nnr::ArithmeticEncoder by_runs;
    nnr::ArithmeticEncoder by_kernel;
    auto contexts_by_bins = initialised<FastContexts>();
    auto contexts_by_runs = initialised<FastContexts>();
    auto contexts_by_kernel = initialised<FastContexts>();
    for (std::size_t length = 0; length < 600; length += 17) {
      std::vector<nnr::BinEntry> run;
      for (const Bin& bin : random_bins(++seed, length, one)) {
        if (bin.context < kContexts) {
          run.push_back(static_cast<nnr::BinEntry>(2 * bin.context + (bin.value ? 1 : 0)));
          by_bins.encode(contexts_by_bins[bin.context], bin.value);
          continue;
        }
        const int count = random_count(random);
        const std::uint32_t value = static_cast<std::uint32_t>(random()) & ((1U << count) - 1U);
        run.push_back(static_cast<nnr::BinEntry>(nnr::kBypassMark + count));
        run.push_back(static_cast<nnr::BinEntry>(value & 0xFFFFU));
        run.push_back(static_cast<nnr::BinEntry>(value >> 16));
        for (int i = count - 1; i >= 0; --i) by_bins.encode_bypass(((value >> i) & 1U) != 0);
      }
      by_runs.encode_run(contexts_by_runs.data(), run);
      nnr::encode_run(by_kernel, contexts_by_kernel.data(), run);
      const test::CoderState reference = state_of(by_bins, contexts_by_bins);
      const bool same_by_runs = expect_same(reference, state_of(by_runs, contexts_by_runs), "encoder states after a run", length);
      const bool same_by_kernel = expect_same(reference, state_of(by_kernel, contexts_by_kernel), "kernel's states", length);
      if (!same_by_runs || !same_by_kernel) return;
    }
    for (nnr::ArithmeticEncoder* encoder : {&by_bins, &by_runs, &by_kernel}) encoder->finish();
    expect(by_runs.bytes() == by_bins.bytes() && by_kernel.bytes() == by_bins.bytes(), "codewords of runs", seed);
  }
}

// A Sink that lists bins, and a Sink that lists them from runs.
struct ListingSink {
  std::vector<std::uint32_t> bins;  // 2 * context + bin, or 2^31 + bin for a bypass bin
  void regular(int context, bool bin) { bins.push_back(2 * static_cast<std::uint32_t>(context) + (bin ? 1U : 0U)); }
  void bypass(bool bin) { bins.push_back(1U << 31 | (bin ? 1U : 0U)); }
  void bypass_bins(std::uint32_t value, int count) {
    for (int i = count - 1; i >= 0; --i) bypass(((value >> i) & 1U) != 0);
  }
  void restart_range() {}
  void initialise(int /*context*/, int /*index*/) {}
  void reset_contexts() {}
};

struct RunSink : ListingSink {
  void put_run(std::span<const nnr::BinEntry> run) {
    nnr::for_each_bin(
        run, [&](std::size_t context, std::size_t bin) { regular(static_cast<int>(context), bin != 0); },
        [&](std::uint32_t value, int count) { bypass_bins(value, count); });
  }
};

void test_levels_in_runs() {
  static_assert(nnr::AcceptsRuns<RunSink> && !nnr::AcceptsRuns<ListingSink>);
  std::mt19937 random(11);
  for (const int unary : {1, 2, 11, 15, 16, 17, 33, 256})
    for (const double scale : {0.1, 3.0, 40.0, 1e9})
      for (const int scan_order : {0, 1}) {
        nnr::TensorCoding coding;
        coding.rows = 61;
        coding.width = 37;
        coding.unary_length = unary;
        coding.scan_order = scan_order;
        std::normal_distribution<double> normal(0, scale);
        std::vector<std::int32_t> levels(coding.size());
        for (std::int32_t& level : levels)
          level = static_cast<std::int32_t>(std::clamp(normal(random), -2147483648.0, 2147483647.0));
        const auto unary_position = static_cast<std::size_t>(unary);
        ListingSink by_bins;
        RunSink by_runs;
        std::uint64_t failed_at = 0;
        const auto ignore = [](int) {};
        const nnr::Outcome outcome_by_bins = nnr::TensorEncoder(by_bins, coding).encode(levels.data(), {}, failed_at, ignore);
        const nnr::Outcome outcome_by_runs = nnr::TensorEncoder(by_runs, coding).encode(levels.data(), {}, failed_at, ignore);
        expect(outcome_by_bins == nnr::Outcome::kOk && outcome_by_runs == nnr::Outcome::kOk, "levels in runs", unary_position);
        expect(by_bins.bins == by_runs.bins, "bins of levels in runs", unary_position);
        // Dependent quantisation has not all levels: both ways stop at the same one.
        coding.dependent = true;
        std::uint64_t failed_in_run = 0;
        expect(nnr::TensorEncoder(by_bins, coding).encode(levels.data(), {}, failed_at, ignore) ==
                   nnr::TensorEncoder(by_runs, coding).encode(levels.data(), {}, failed_in_run, ignore),
               "outcome of levels in runs", unary_position);
        expect(failed_at == failed_in_run, "level without a coded value", static_cast<std::size_t>(failed_at));
      }
}

// The mapping of values to levels, its inverse, and the state after zeros.
void test_dependent_quantization() {
  for (int state = 0; state < nnr::kTrellisStates; ++state) {
    for (std::int64_t value = -9; value <= 9; ++value) {
      const std::int64_t level = nnr::value_to_level(value, state);
      const std::int64_t magnitude = value == 0 ? 0 : nnr::magnitude_to_level(std::abs(value), nnr::quantizer_of(state));
      expect(std::abs(level) == magnitude, "magnitude of a level", static_cast<std::size_t>(state));
      std::int64_t inverse = level;
      expect(nnr::level_to_value(inverse, state) && inverse == value, "value of a level", static_cast<std::size_t>(state));
    }
    int walked = state;
    for (std::uint64_t count = 0; count < 12; ++count) {
      expect(nnr::state_after_zeros(state, count) == walked, "state after zeros", count);
      walked = nnr::next_state(walked, 0);
    }
  }
}

bool expect_same_costs(const nnr::InitialisationCosts& reference, const nnr::InitialisationCosts& fast, std::size_t length) {
  bool same = true;
  for (std::size_t i = 0; i < nnr::kInitialisationCount; ++i)
    same = same && fast.t0[i] == reference.t0[i] && fast.t1[i] == reference.t1[i] && fast.cost[i] == reference.cost[i];
  if (expect(same, "costs of initialisations after bins", length)) return true;
  for (std::size_t i = 0; i < nnr::kInitialisationCount; ++i)
    std::fprintf(stderr, "  initialisation %zu: reference t0 %d, t1 %d, cost %llu; fast t0 %d, t1 %d, cost %llu\n", i,
                 reference.t0[i], reference.t1[i], static_cast<unsigned long long>(reference.cost[i]), fast.t0[i], fast.t1[i],
                 static_cast<unsigned long long>(fast.cost[i]));
  return false;
}

void test_initialisation_costs() {
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::mt19937 random(seed);
    std::bernoulli_distribution one(0.01 + 0.98 * seed / 39);
    std::array<nnr::InitialisationCosts, 3> fast;
    std::array<nnr::InitialisationCosts, 3> reference;
    for (std::size_t length = 0; length < 300; length += 7) {
      std::array<std::vector<std::uint8_t>, 3> bins;
      for (std::size_t k = 0; k < bins.size(); ++k) {
        bins[k].resize(length);
        for (std::uint8_t& bin : bins[k]) bin = one(random) ? 1 : 0;
        reference[k].run_reference(bins[k].data(), length);
      }
      fast[0].run(bins[0].data(), length);
      nnr::InitialisationCosts::run_pair(fast[1], bins[1].data(), fast[2], bins[2].data(), length);
      for (std::size_t k = 0; k < bins.size(); ++k)
        if (!expect_same_costs(reference[k], fast[k], length)) return;
    }
  }
}

void test_trellis() {
  std::mt19937 random(5);
  for (const float scale : {0.0F, 0.1F, 1.0F, 30.0F, 1e6F}) {
    std::normal_distribution<float> normal(0, 1);
    nnr::Trellis fast;
    nnr::Trellis reference;
    for (std::size_t length = 0; length < 200; length += 3) {
      std::vector<float> weights(length);
      // Multiples of a quarter bring ties.
      for (std::size_t i = 0; i < length; ++i)
        weights[i] = scale * (i % 3 == 0 ? std::nearbyint(4 * normal(random)) / 4 : normal(random));
      std::vector<std::uint8_t> fast_decisions(length);
      std::vector<std::uint8_t> reference_decisions(length);
      fast.run(weights.data(), length, 0.75, fast_decisions.data());
      reference.run_reference(weights.data(), length, 0.75, reference_decisions.data());
      const auto mismatch = std::mismatch(fast_decisions.begin(), fast_decisions.end(), reference_decisions.begin());
      const auto position = static_cast<std::size_t>(mismatch.first - fast_decisions.begin());
      const bool same_decisions = expect(position == length, "trellis decision", position);
      if (expect(fast.costs == reference.costs, "trellis costs after weights", length) && same_decisions) continue;
      for (std::size_t state = 0; state < nnr::kTrellisStates; ++state)
        std::fprintf(stderr, "  state %zu: reference cost %.17g, fast cost %.17g\n", state, reference.costs[state],
                     fast.costs[state]);
      return;
    }
  }
}

}  // namespace

int main() {
  test_dependent_quantization();
  test_initialisation_costs();
  test_trellis();
  test_round_trips();
  test_arbitrary_bytes();
  test_carry_through_long_runs();
  test_strings_of_bypass_bins();
  test_runs_of_bins();
  test_levels_in_runs();
  return test::report("engine");
}
