// SPDX-License-Identifier: Apache-2.0
// Codewords from weights: one digest for every instruction set, compiler and build of the core.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <span>
#include <vector>

#include "expect.hpp"
#include "nnr/feedback.hpp"
#include "nnr/payload.hpp"
#include "nnr/quantizer.hpp"
#include "nnr/rdo.hpp"

namespace {

using namespace nnr;
using test::expect;

constexpr std::uint64_t kRows = 60;
constexpr std::uint64_t kWidth = 90;

// Weights from integers alone, so that every platform has the same.
std::vector<float> random_weights() {
  std::mt19937 generator(3);
  std::vector<float> weights(kRows * kWidth);
  for (float& weight : weights) {
    const auto bits = static_cast<std::uint32_t>(generator());
    const auto mantissa = static_cast<float>(bits >> 9);
    weight = std::ldexp((bits & 8U) != 0 ? -mantissa : mantissa, static_cast<int>(bits & 7U) - 28);
  }
  return weights;
}

// FNV-1a.
std::uint64_t digest(std::span<const std::uint8_t> bytes) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const std::uint8_t byte : bytes) {
    hash ^= byte;
    hash *= 0x100000001B3U;
  }
  return hash;
}

enum class Quantizer : std::uint8_t { kNearest, kTrellis, kCarriedContexts, kSharedContexts, kFeedback };

std::vector<std::int32_t> quantize(Quantizer quantizer, const std::vector<float>& weights, double step,
                                   const TensorCoding& coding) {
  std::vector<std::int32_t> levels(weights.size());
  std::size_t n_quantized = 0;
  RdoSettings settings;
  settings.lambda = 0.34;
  switch (quantizer) {
    case Quantizer::kNearest:
      n_quantized = quantize_uniform(weights, step, levels.data());
      break;
    case Quantizer::kTrellis:
      n_quantized = quantize_dependent(weights, step, coding, levels.data());
      break;
    case Quantizer::kSharedContexts:
      settings.interval = 512;
      [[fallthrough]];
    case Quantizer::kCarriedContexts:
      settings.row_skip = true;
      n_quantized = quantize_rdo(weights, step, coding, settings, levels.data());
      break;
    case Quantizer::kFeedback: {
      std::vector<float> coefficients(kWidth * kWidth);
      for (std::size_t i = 0; i < kWidth; ++i)
        for (std::size_t j = i + 1; j < kWidth; ++j) coefficients[i * kWidth + j] = std::ldexp(1.0F, -static_cast<int>(j - i));
      const std::vector<float> column_weights(kWidth, 1.0F);
      n_quantized = quantize_feedback(weights, step, coding, {0.34, coefficients.data(), column_weights.data(), nullptr, 4, 64},
                                      levels.data());
      break;
    }
  }
  if (n_quantized != weights.size()) std::abort();
  return levels;
}

struct Golden {
  Quantizer quantizer;
  double step;
  int scan_order;
  std::uint64_t digest;
};

constexpr Golden kGoldens[] = {
    {Quantizer::kNearest, 0.05, 0, 0xF05E2F3F28E8BAB2U},       {Quantizer::kTrellis, 0.001, 0, 0x21D3930924FEECEU},
    {Quantizer::kTrellis, 0.05, 2, 0x18BF560BB508BDB2U},       {Quantizer::kCarriedContexts, 0.05, 0, 0x3786E889FDFBD9EFU},
    {Quantizer::kCarriedContexts, 0.5, 2, 0x12CEE937A93A4E2U}, {Quantizer::kSharedContexts, 0.05, 0, 0x77629A1097BDE455U},
    {Quantizer::kFeedback, 0.05, 0, 0x5B210AE79374326AU},
};

void test_codewords() {
  const std::vector<float> weights = random_weights();
  for (const auto& [quantizer, step, scan_order, golden] : kGoldens) {
    const TensorCoding coding{
        .rows = kRows, .width = kWidth, .scan_order = scan_order, .dependent = quantizer != Quantizer::kNearest};
    const std::vector<std::int32_t> levels = quantize(quantizer, weights, step, coding);
    const std::int32_t* const input = levels.data();
    TensorChoices choices;
    EncodedPayload encoded;
    if (!search_initialisations(coding, input, 0, choices).ok()) std::abort();
    if (!encode_payload({&coding, 1}, {&input, 1}, {&choices, 1}, encoded).ok()) std::abort();
    expect(digest(encoded.bytes) == golden, "the codeword of every build", digest(encoded.bytes));
  }
}

}  // namespace

int main() {
  test_codewords();
  return test::report("encoding");
}
