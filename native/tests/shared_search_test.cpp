// SPDX-License-Identifier: Apache-2.0
// The search with shared contexts: levels are the same for every instruction set, number of threads and build of the core.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "expect.hpp"
#include "nnr/payload.hpp"
#include "nnr/quantizer.hpp"
#include "nnr/rdo.hpp"
#include "nnr/shared_trellis.hpp"
#include "nnr/work_queue.hpp"

namespace {

using namespace nnr;
using test::expect;

// Weights with a density that falls like a Laplacian's, from integers alone, so that every platform has the same.
std::vector<float> random_weights(std::uint32_t seed, std::size_t count) {
  std::mt19937 generator(seed);
  std::vector<float> weights(count);
  for (float& weight : weights) {
    const auto bits = static_cast<std::uint32_t>(generator());
    const int octave = static_cast<int>(bits & 7U);
    const auto mantissa = static_cast<float>(bits >> 9);
    weight = std::ldexp((bits & 8U) != 0 ? -mantissa : mantissa, octave - 28);
  }
  return weights;
}

std::vector<std::int32_t> search(const std::vector<float>& weights, double step, const TensorCoding& coding,
                                 const float* importance, WorkQueue* queue) {
  RdoSettings settings;
  settings.lambda = 0.34;
  settings.interval = 512;
  settings.importance = importance;
  settings.queue = queue;
  std::vector<std::int32_t> levels(weights.size());
  if (quantize_rdo(weights, step, coding, settings, levels.data()) != weights.size()) std::abort();
  return levels;
}

// FNV-1a.
std::uint64_t digest(const std::vector<std::int32_t>& levels) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const std::int32_t level : levels)
    for (int shift = 0; shift < 32; shift += 8) {
      hash ^= static_cast<std::uint32_t>(level) >> shift & 0xFFU;
      hash *= 0x100000001B3U;
    }
  return hash;
}

double squared_error(const std::vector<float>& weights, double step, const std::vector<std::int32_t>& levels) {
  double sum = 0;
  for (std::size_t n = 0; n < weights.size(); ++n) sum += std::pow(weights[n] - step * levels[n], 2);
  return sum;
}

std::size_t coded_size(const TensorCoding& coding, const std::vector<std::int32_t>& levels) {
  const std::int32_t* const input = levels.data();
  TensorChoices choices;
  EncodedPayload encoded;
  if (!search_initialisations(coding, input, 0, choices).ok()) std::abort();
  if (!encode_payload({&coding, 1}, {&input, 1}, {&choices, 1}, encoded).ok()) std::abort();
  return encoded.bytes.size();
}

// The kernels against their references, over weights of every size and both ends of the tables.
void test_kernels() {
  const TensorCoding coding{.rows = 1, .width = CandidateCosts::kCapacity, .dependent = true};
  RateTables rates(coding, false, {});
  rates.refresh(0.34);
  for (const float step : {1.0F, 0.1F, 0.001F}) {
    const std::vector<float> weights = random_weights(7, coding.size());
    MagnitudeCosts magnitudes(1 << 20);
    magnitudes.refresh(rates);
    const auto fast = std::make_unique<CandidateCosts>();
    const auto one_by_one = std::make_unique<CandidateCosts>();
    const CandidateScale scale{1 / step, 0.04F};
    fast->compute(weights.data(), nullptr, weights.size(), true, scale, magnitudes, rates);
    const std::vector<float> ones(weights.size(), 1.0F);
    one_by_one->compute(weights.data(), ones.data(), weights.size(), true, scale, magnitudes, rates);
    expect(fast->nonzero == one_by_one->nonzero && fast->zero == one_by_one->zero, "costs of candidates", 0);
    expect(fast->transition == one_by_one->transition, "transitions", 0);

    SharedRates shared;
    std::mt19937 generator(5);
    for (TransitionRates& of_transition : shared)
      for (auto* by_kind : {&of_transition.zero, &of_transition.nonzero})
        for (auto& by_state : *by_kind)
          for (float& rate : by_state) rate = static_cast<float>(generator() & 0xFFFFU) * 0x1p-15F;
    SharedTrellis trellis;
    SharedTrellis reference;
    trellis.start(0, 0);
    reference.start(0, 0);
    std::vector<SharedDecision> decisions(weights.size());
    std::vector<SharedDecision> expected(weights.size());
    trellis.run(*fast, weights.size(), shared, decisions.data());
    reference.run_reference(*fast, weights.size(), shared, expected.data());
    expect(decisions == expected && trellis.costs == reference.costs, "the trellis", 0);
  }
}

struct Golden {
  double step;
  int scan_order;
  std::uint64_t digest;
};

constexpr Golden kGoldens[] = {
    {0.001, 0, 0x62A8FD51667DD4EFU}, {0.1, 0, 0xCFB4B6F07A975B0AU}, {0.5, 0, 0x893C6D6DF62681DDU}, {0.1, 2, 0xDDE6A68A92C3430EU}};

// One digest for all builds: native and portable, whatever the processor.
void test_whole_tensors() {
  const std::vector<float> weights = random_weights(1, 700 * 900);
  WorkQueue queue(3);
  for (const auto& [step, scan_order, golden] : kGoldens) {
    const TensorCoding coding{.rows = 700, .width = 900, .scan_order = scan_order, .dependent = true};
    const std::vector<std::int32_t> levels = search(weights, step, coding, nullptr, nullptr);
    expect(digest(levels) == golden, "levels of every build", digest(levels));
    expect(search(weights, step, coding, nullptr, &queue) == levels, "levels by threads", 0);
    // Near 10 bits a weight there is nothing to gain.
    if (step < 0.1) continue;
    std::vector<std::int32_t> nearest(weights.size());
    expect(quantize_dependent(weights, step, coding, nearest.data()) == weights.size(), "range", 0);
    const auto cost = [&](const std::vector<std::int32_t>& of) {
      return squared_error(weights, step, of) / (step * step) + 0.34 * 8 * static_cast<double>(coded_size(coding, of));
    };
    expect(cost(levels) < cost(nearest), "a smaller cost than the least squared error has", 0);
  }
}

}  // namespace

int main() {
  test_kernels();
  test_whole_tensors();
  return test::report("shared search");
}
