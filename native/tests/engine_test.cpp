// SPDX-License-Identifier: Apache-2.0
// The engines against each other, state by state: encoder, reference decoder and fast decoder over the same bins.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <span>
#include <vector>

#include "nnr/arithmetic_decoder.hpp"
#include "nnr/arithmetic_encoder.hpp"
#include "nnr/bin_kernel.hpp"
#include "nnr/bin_run.hpp"
#include "nnr/candidate_courses.hpp"
#include "nnr/fast_engine.hpp"
#include "nnr/tensor_encoder.hpp"
#include "nnr/trellis.hpp"

namespace {

int failures = 0;

void expect(bool holds, const char* what, std::size_t at) {
  if (holds) return;
  if (++failures <= 20) std::fprintf(stderr, "failed: %s at %zu\n", what, at);
}

constexpr std::size_t kContexts = 9;  // one for each initialisation

struct Bin {
  std::uint8_t context;  // kContexts: a bypass bin
  bool value;
};

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
  nnr::FastContext contexts[kContexts];
  for (std::size_t i = 0; i < kContexts; ++i) contexts[i].initialise(static_cast<int>(i));
  for (const Bin& bin : bins) {
    if (bin.context == kContexts)
      encoder.encode_bypass(bin.value);
    else
      encoder.encode(contexts[bin.context], bin.value);
  }
  encoder.finish();
  return encoder.take_bytes();
}

// Decodes as many bins from `bytes`, whatever they are; with `expected`, compares the bins' values too.
void compare_decoders(std::span<const std::uint8_t> bytes, const std::vector<Bin>& bins, bool expected) {
  nnr::ArithmeticDecoder plain(bytes);
  nnr::FastEngine fast(bytes);
  nnr::ContextModel plain_contexts[kContexts];
  nnr::FastContext fast_contexts[kContexts];
  for (std::size_t i = 0; i < kContexts; ++i) {
    plain_contexts[i].initialise(static_cast<int>(i));
    fast_contexts[i].initialise(static_cast<int>(i));
  }
  for (std::size_t n = 0; n < bins.size(); ++n) {
    const std::size_t i = bins[n].context;
    bool x = false;
    bool y = false;
    if (i == kContexts) {
      x = plain.decode_bypass();
      y = fast.decode_bypass_bins(1) != 0;
    } else {
      x = plain.decode(plain_contexts[i]);
      // All forms of the fast step, in turns.
      y = n % 3 == 0   ? fast.decode<true>(fast_contexts[i])
          : n % 3 == 1 ? fast.decode<false>(fast_contexts[i])
                       : fast.decode_even(fast_contexts[i]);
      expect(plain_contexts[i] == fast_contexts[i].model(), "context", n);
    }
    expect(x == y, "bin", n);
    expect(!expected || x == bins[n].value, "bin as encoded", n);
    expect(plain.range() == fast.range_length(), "range", n);
    expect(plain.offset() == fast.offset(), "offset", n);
    expect(plain.bits_read() == fast.bits_read(bytes.data()), "bits read", n);
    expect(plain.overrun() == fast.overrun(), "overrun", n);
  }
  expect(plain.decode_terminate() == fast.decode_terminate(), "terminating bin", bins.size());
  expect(plain.bits_read() == fast.bits_read(bytes.data()), "bits read at the end", bins.size());
}

void test_round_trips() {
  unsigned seed = 0;
  for (const double one : {0.0, 0.01, 0.3, 0.5, 0.9, 1.0})
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{57}, std::size_t{20000}}) {
      const std::vector<Bin> bins = random_bins(++seed, count, one);
      compare_decoders(encode(bins), bins, true);
    }
}

void test_bytes_that_no_encoder_wrote() {
  std::mt19937 random(7);
  std::uniform_int_distribution<int> any(0, 255);
  // A first byte of 0xFF is no codeword: its offset may reach the range, which the decoders need not agree on.
  for (std::size_t size = 0; size < 60; ++size) {
    std::vector<std::uint8_t> bytes(size);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(any(random));
    if (!bytes.empty()) bytes[0] &= 0x7F;
    compare_decoders(bytes, random_bins(static_cast<unsigned>(size), 2000, 0.5), false);
  }
}

// Bypass ones keep low just under a power of two, so that bytes of 0xFF pile up; a later bin then carries through them all.
void test_carry_through_long_runs() {
  for (std::size_t length = 1; length < 4000; length = length * 3 / 2 + 1) {
    std::vector<Bin> bins(9, {kContexts, true});
    for (std::size_t i = 0; i < length; ++i) bins.push_back({kContexts, i % 2 == 0});
    const std::vector<Bin> more = random_bins(static_cast<unsigned>(length), 200, 0.5);
    bins.insert(bins.end(), more.begin(), more.end());
    compare_decoders(encode(bins), bins, true);
  }
}

void test_strings_of_bypass_bins() {
  std::mt19937 random(3);
  std::uniform_int_distribution<int> any_count(1, 31);
  std::vector<int> counts(3000);
  std::vector<std::uint32_t> values(counts.size());
  nnr::ArithmeticEncoder encoder;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i] = any_count(random);
    values[i] = static_cast<std::uint32_t>(random()) & ((1U << counts[i]) - 1U);
    encoder.encode_bypass_bins(values[i], counts[i]);
  }
  encoder.finish();
  nnr::FastEngine fast(encoder.bytes());
  for (std::size_t i = 0; i < counts.size(); ++i) expect(fast.decode_bypass_bins(counts[i]) == values[i], "string", i);
}

// Lists of bins against bin by bin: the codeword, the position in it and every context.
void test_runs_of_bins() {
  unsigned seed = 100;
  for (const double one : {0.0, 0.01, 0.3, 0.5, 0.9, 1.0}) {
    std::mt19937 random(++seed);
    std::uniform_int_distribution<int> any_count(1, 31);
    nnr::ArithmeticEncoder by_bins;
    nnr::ArithmeticEncoder by_runs;
    nnr::ArithmeticEncoder by_kernel;
    nnr::FastContext contexts[3][kContexts];
    for (auto& own : contexts)
      for (std::size_t i = 0; i < kContexts; ++i) own[i].initialise(static_cast<int>(i));
    for (std::size_t length = 0; length < 600; length += 17) {
      std::vector<nnr::BinEntry> run;
      for (const Bin& bin : random_bins(++seed, length, one)) {
        if (bin.context < kContexts) {
          run.push_back(static_cast<nnr::BinEntry>(2 * bin.context + (bin.value ? 1 : 0)));
          by_bins.encode(contexts[0][bin.context], bin.value);
          continue;
        }
        const int count = any_count(random);
        const std::uint32_t value = static_cast<std::uint32_t>(random()) & ((1U << count) - 1U);
        run.push_back(static_cast<nnr::BinEntry>(nnr::kBypassMark + count));
        run.push_back(static_cast<nnr::BinEntry>(value & 0xFFFFU));
        run.push_back(static_cast<nnr::BinEntry>(value >> 16));
        for (int i = count - 1; i >= 0; --i) by_bins.encode_bypass(((value >> i) & 1U) != 0);
      }
      by_runs.encode_run(contexts[1], run);
      nnr::encode_run(by_kernel, contexts[2], run);
      for (const nnr::ArithmeticEncoder* each : {&by_runs, &by_kernel})
        expect(each->position() == by_bins.position() && each->low_bits() == by_bins.low_bits(), "position in a run", length);
      for (std::size_t i = 0; i < kContexts; ++i)
        expect(contexts[1][i].model() == contexts[0][i].model() && contexts[2][i].model() == contexts[0][i].model(),
               "run's context", i);
    }
    for (nnr::ArithmeticEncoder* each : {&by_bins, &by_runs, &by_kernel}) each->finish();
    expect(by_runs.bytes() == by_bins.bytes() && by_kernel.bytes() == by_bins.bytes(), "run's codeword", seed);
  }
}

// A Sink that lists bins, and one that takes them from lists.
struct ListingSink {
  std::vector<std::uint32_t> bins;  // regular ones, and 2^31 + each bypass bin
  void regular(int context, bool bin) { bins.push_back(2 * static_cast<std::uint32_t>(context) + (bin ? 1U : 0U)); }
  void bypass(bool bin) { bins.push_back(1U << 31 | (bin ? 1U : 0U)); }
  void bypass_bins(std::uint32_t value, int count) {
    for (int i = count - 1; i >= 0; --i) bypass(((value >> i) & 1U) != 0);
  }
  void restart_range() {}
  void initialise(int, int) {}
  void reset_contexts() {}
};

struct RunSink : ListingSink {
  void take(std::span<const nnr::BinEntry> run) {
    nnr::for_each_bin(
        run, [&](std::size_t context, std::size_t bin) { regular(static_cast<int>(context), bin != 0); },
        [&](std::uint32_t value, int count) { bypass_bins(value, count); });
  }
};

void test_levels_in_runs() {
  static_assert(nnr::TakesRuns<RunSink> && !nnr::TakesRuns<ListingSink>);
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
        ListingSink by_bins;
        RunSink by_runs;
        std::uint64_t failed_at = 0;
        const auto ignore = [](int) {};
        const nnr::Outcome first = nnr::TensorEncoder(by_bins, coding).encode(levels.data(), {}, failed_at, ignore);
        const nnr::Outcome second = nnr::TensorEncoder(by_runs, coding).encode(levels.data(), {}, failed_at, ignore);
        expect(first == nnr::Outcome::kOk && second == nnr::Outcome::kOk, "levels in runs", static_cast<std::size_t>(unary));
        expect(by_bins.bins == by_runs.bins, "bins of levels in runs", static_cast<std::size_t>(unary));
        // With dependent quantisation only some levels can be: both ways stop at the same one.
        coding.dependent = true;
        std::uint64_t other_failed_at = 0;
        expect(nnr::TensorEncoder(by_bins, coding).encode(levels.data(), {}, failed_at, ignore) ==
                   nnr::TensorEncoder(by_runs, coding).encode(levels.data(), {}, other_failed_at, ignore),
               "outcome of levels in runs", static_cast<std::size_t>(unary));
        expect(failed_at == other_failed_at, "level that cannot be", static_cast<std::size_t>(failed_at));
      }
}

// The vector kernels against their plain statements: every bit of the state, after runs of any length.
void test_courses_by_vectors() {
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::mt19937 random(seed);
    std::bernoulli_distribution one(0.01 + 0.98 * seed / 39);
    nnr::CandidateCourses fast[3];
    nnr::CandidateCourses plain[3];
    for (std::size_t length = 0; length < 300; length += 7) {
      std::vector<std::uint8_t> bins[3];
      for (std::size_t k = 0; k < 3; ++k) {
        bins[k].resize(length);
        for (std::uint8_t& bin : bins[k]) bin = one(random) ? 1 : 0;
        plain[k].follow_plainly(bins[k].data(), length);
      }
      fast[0].follow(bins[0].data(), length);
      nnr::CandidateCourses::follow_two(fast[1], bins[1].data(), fast[2], bins[2].data(), length);
      for (std::size_t k = 0; k < 3; ++k)
        for (std::size_t i = 0; i < nnr::kInitialisationCount; ++i)
          expect(fast[k].t0[i] == plain[k].t0[i] && fast[k].t1[i] == plain[k].t1[i] && fast[k].cost[i] == plain[k].cost[i],
                 "course", i);
    }
  }
}

void test_trellis_by_vectors() {
  std::mt19937 random(5);
  for (const float scale : {0.0F, 0.1F, 1.0F, 30.0F, 1e6F}) {
    std::normal_distribution<float> normal(0, 1);
    nnr::Trellis fast;
    nnr::Trellis plain;
    for (std::size_t length = 0; length < 200; length += 3) {
      std::vector<float> weights(length);
      // Multiples of a quarter bring ties.
      for (std::size_t i = 0; i < length; ++i)
        weights[i] = scale * (i % 3 == 0 ? std::nearbyint(4 * normal(random)) / 4 : normal(random));
      std::vector<std::uint8_t> by_vectors(length);
      std::vector<std::uint8_t> plainly(length);
      fast.follow(weights.data(), length, 0.75, by_vectors.data());
      plain.follow_plainly(weights.data(), length, 0.75, plainly.data());
      expect(by_vectors == plainly, "trellis decisions", length);
      expect(fast.costs == plain.costs, "trellis costs", length);
    }
  }
}

}  // namespace

int main() {
  test_courses_by_vectors();
  test_trellis_by_vectors();
  test_round_trips();
  test_bytes_that_no_encoder_wrote();
  test_carry_through_long_runs();
  test_strings_of_bypass_bins();
  test_runs_of_bins();
  test_levels_in_runs();
  if (failures == 0) std::puts("engine: all tests passed");
  return failures == 0 ? 0 : 1;
}
