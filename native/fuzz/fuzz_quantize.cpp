// SPDX-License-Identifier: Apache-2.0
// Fuzz target: any weights, NaN included, through each quantiser. Weights out of range are reported; other weights give levels
// near them that the encoder can code.
#include <algorithm>
#include <cmath>

#include "input.hpp"
#include "nnr/feedback.hpp"
#include "nnr/payload.hpp"
#include "nnr/quantizer.hpp"
#include "nnr/rdo.hpp"

namespace {

// A weight: mostly near zero, where quantisers choose; sometimes any float.
float take_weight(fuzz::Input& input) {
  const std::uint8_t head = input.byte();
  if (head >= 250) return input.word<float>();
  return (static_cast<float>(head) - 125.0F) * (head % 3 == 0 ? 0.0625F : 0.011F);
}

double take_step(fuzz::Input& input) {
  const std::uint8_t head = input.byte();
  return std::ldexp(1.0 + (head & 7U) / 8.0, head < 248 ? static_cast<int>(head >> 3) % 8 - 6 : (head & 1U) != 0 ? 100 : -100);
}

double take_lambda(fuzz::Input& input) {
  const std::uint8_t head = input.byte();
  return head < 250 ? head * 0.01 : head == 250 ? 1e30 : head * 10.0;
}

void take_initialisations(fuzz::Input& input, const nnr::TensorCoding& coding, bool history, std::vector<std::uint8_t>& into) {
  if (!input.flag()) return;
  const std::uint8_t seed = input.byte();
  nnr::for_each_initialised_context(coding, coding.base != nullptr, history, [&](int index) {
    into.push_back(static_cast<std::uint8_t>((seed + static_cast<unsigned>(index) * 5U) % nnr::kInitialisationCount));
  });
}

std::size_t by_rdo(fuzz::Input& input, const std::vector<float>& weights, double step, const nnr::TensorCoding& coding,
                   std::int32_t* levels) {
  nnr::RdoSettings settings;
  settings.lambda = take_lambda(input);
  const std::uint8_t flags = input.byte();
  settings.adaptive = (flags & 8) == 0;
  settings.history_enabled = (flags & 1) != 0 && coding.parent_present && coding.has_row_skip_flag();
  settings.row_skip = (flags & 2) != 0;
  std::vector<float> importance;
  if ((flags & 4) != 0) {
    importance.resize(weights.size());
    for (std::size_t i = 0; i < importance.size(); ++i) importance[i] = static_cast<float>((i * flags) % 5) * 0.5F;
    settings.importance = importance.data();
  }
  std::vector<std::uint8_t> initialisations;
  take_initialisations(input, coding, settings.history_enabled, initialisations);
  settings.initialisations = initialisations;
  return nnr::quantize_rdo(weights, step, coding, settings, levels);
}

std::size_t by_feedback(fuzz::Input& input, const std::vector<float>& weights, double step, nnr::TensorCoding& coding,
                        std::int32_t* levels) {
  coding.scan_order = 0;
  coding.base = nullptr;
  nnr::FeedbackSettings settings;
  settings.lambda = take_lambda(input);
  settings.survivors = static_cast<int>(input.number(1, 4));
  settings.interval = static_cast<int>(input.number(8, 16));
  const std::uint8_t seed = input.byte();
  settings.inputs_first = (seed & 2) != 0;
  settings.lines = (seed & 4) != 0 ? 3 : 1;
  const std::size_t inputs = settings.inputs_first ? coding.rows : coding.width;
  const std::size_t outputs = settings.inputs_first ? coding.width : coding.rows;
  std::vector<float> coefficients(inputs * inputs);
  for (std::size_t i = 0; i < coefficients.size(); ++i) coefficients[i] = static_cast<float>((i * seed) % 11) * 0.2F - 1.0F;
  const std::vector<float> columns(inputs, 1.0F);
  std::vector<float> rows(outputs, 0.5F);
  settings.coefficients = coefficients.data();
  settings.column_weights = columns.data();
  settings.row_weights = (seed & 1) != 0 ? rows.data() : nullptr;
  std::vector<std::uint8_t> initialisations;
  take_initialisations(input, coding, false, initialisations);
  settings.initialisations = initialisations;
  return nnr::quantize_feedback(weights, step, coding, settings, levels);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  fuzz::Input input(bytes, size);
  const std::uint64_t kind = input.number(0, 4);
  fuzz::Tensor tensor = fuzz::take_tensor(input, /*codebooks=*/false);
  nnr::TensorCoding& coding = tensor.coding;
  coding.dependent = kind == 0 ? false : kind == 1 ? true : coding.dependent;
  const double step = take_step(input);
  std::vector<std::int32_t> levels(coding.size());
  std::vector<float> weights(coding.size());
  // Settings take the next 8 bytes, weights the rest.
  const std::span<const std::uint8_t> rest = input.rest();
  fuzz::Input settings(rest.data(), std::min<std::size_t>(rest.size(), 8));
  fuzz::Input values(rest.data() + std::min<std::size_t>(rest.size(), 8), rest.size() - std::min<std::size_t>(rest.size(), 8));
  for (float& weight : weights) {
    if (values.empty()) break;
    weight = take_weight(values);
  }
  const std::size_t n_quantized = kind == 0   ? nnr::quantize_uniform(weights, step, levels.data())
                                  : kind == 1 ? nnr::quantize_dependent(weights, step, coding, levels.data())
                                  : kind == 2 ? by_rdo(settings, weights, step, coding, levels.data())
                                              : by_feedback(settings, weights, step, coding, levels.data());
  fuzz::require(n_quantized <= weights.size(), "the reported weight exists");
  if (n_quantized != weights.size()) {
    fuzz::require(!(std::abs(weights[n_quantized]) <= 16.0 * step), "only large weights and NaN are out of range");
    return 0;
  }
  if (kind <= 1)
    for (std::size_t i = 0; i < weights.size(); ++i)
      fuzz::require(std::abs(weights[i] - step * levels[i]) <= 4.0 * step, "a level lies near its weight");
  const std::int32_t* pointer = levels.data();
  const nnr::TensorChoices choices;
  nnr::EncodedPayload encoded;
  fuzz::require(nnr::encode_payload({&coding, 1}, {&pointer, 1}, {&choices, 1}, encoded).ok(), "quantised levels can be coded");
  return 0;
}
