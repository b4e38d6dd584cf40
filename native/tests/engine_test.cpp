// SPDX-License-Identifier: Apache-2.0
// The engines against each other, state by state: encoder, reference decoder and fast decoder over the same bins.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <span>
#include <vector>

#include "nnr/arithmetic_decoder.hpp"
#include "nnr/arithmetic_encoder.hpp"
#include "nnr/candidate_courses.hpp"
#include "nnr/fast_engine.hpp"
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
      // Both forms of the fast step, at random.
      y = (n & 1) != 0 ? fast.decode<true>(fast_contexts[i]) : fast.decode<false>(fast_contexts[i]);
      expect(plain_contexts[i] == fast_contexts[i].model(), "context", n);
    }
    expect(x == y, "bin", n);
    expect(!expected || x == bins[n].value, "bin as encoded", n);
    expect(plain.range() == fast.range, "range", n);
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

// The vector kernels against their plain statements: every bit of the state, after runs of any length.
void test_courses_by_vectors() {
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::mt19937 random(seed);
    std::bernoulli_distribution one(0.01 + 0.98 * seed / 39);
    nnr::CandidateCourses fast;
    nnr::CandidateCourses plain;
    for (std::size_t length = 0; length < 300; length += 7) {
      std::vector<std::uint8_t> bins(length);
      for (std::uint8_t& bin : bins) bin = one(random) ? 1 : 0;
      fast.follow(bins.data(), bins.size());
      plain.follow_plainly(bins.data(), bins.size());
      for (std::size_t i = 0; i < nnr::kInitialisationCount; ++i)
        expect(fast.t0[i] == plain.t0[i] && fast.t1[i] == plain.t1[i] && fast.cost[i] == plain.cost[i], "course", i);
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
  if (failures == 0) std::puts("engine: all tests passed");
  return failures == 0 ? 0 : 1;
}
