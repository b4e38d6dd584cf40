// SPDX-License-Identifier: Apache-2.0
// The Python module. Only the sources in bindings/ know Python. They check arrays and settings, and release the GIL during the
// work.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "arrays.hpp"
#include "decode_task.hpp"
#include "nnr/dequantizer.hpp"
#include "nnr/feedback.hpp"
#include "nnr/payload.hpp"
#include "nnr/quantizer.hpp"
#include "nnr/rate_estimate.hpp"
#include "nnr/rate_tables.hpp"
#include "nnr/rdo.hpp"
#include "observer.hpp"
#include "probe.hpp"
#include "source.hpp"
#include "syntax.hpp"
#include "tasks.hpp"
#include "unit_batch.hpp"
#include "unit_walk.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace nnr_bindings;

namespace {

// A tensor's coding, and the arrays it points to.
struct TensorInput {
  nnr::TensorCoding coding;
  std::optional<Levels> base;
  std::optional<Mask> history;
};

nnr::TensorCoding checked_coding(const TensorInput& tensor) {
  nnr::TensorCoding coding = tensor.coding;
  if (tensor.base) {
    require_size(tensor.base->size(), coding);
    coding.base = tensor.base->data();
  }
  if (tensor.history) {
    require_size(tensor.history->size(), coding);
    coding.history = tensor.history->data();
  }
  return coding;
}

nb::tuple decode_payload(const Bytes& payload, const std::vector<TensorInput>& tensors, const std::vector<MutableLevels>& levels,
                         bool reference) {
  if (tensors.empty() || tensors.size() != levels.size()) throw nb::value_error("one levels array per tensor is needed");
  std::vector<nnr::TensorCoding> codings;
  std::vector<std::int32_t*> outputs;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    codings.push_back(checked_coding(tensors[i]));
    require_size(levels[i].size(), codings.back());
    outputs.push_back(levels[i].data());
  }
  std::vector<nnr::TensorSideData> side(tensors.size());
  nnr::Status status;
  {
    const nb::gil_scoped_release release;
    const auto decode = reference ? nnr::decode_payload_reference : nnr::decode_payload;
    status = decode(span_of(payload), codings, outputs, side);
  }
  nb::list side_list;
  for (const nnr::TensorSideData& entry : side)
    side_list.append(nb::make_tuple(entry.qp_value, entry.history_enabled, entry.row_skip_enabled, bytes_of(entry.row_skip_flags),
                                    bytes_of(entry.initialisations), starts_list(entry.block_row_starts)));
  return nb::make_tuple(status_tuple(status), side_list);
}

nb::tuple encode_payload(const std::vector<TensorInput>& tensors, const std::vector<Levels>& levels,
                         const std::vector<EncodeOptions>& options) {
  if (tensors.empty() || tensors.size() != levels.size() || tensors.size() != options.size())
    throw nb::value_error("one levels array and one set of options per tensor are needed");
  std::vector<nnr::TensorCoding> codings;
  std::vector<const std::int32_t*> inputs;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    codings.push_back(checked_coding(tensors[i]));
    require_size(levels[i].size(), codings.back());
    inputs.push_back(levels[i].data());
  }
  nnr::EncodedPayload encoded;
  nnr::Status status;
  std::vector<nnr::TensorChoices> choices(tensors.size());
  {
    const nb::gil_scoped_release release;
    for (std::size_t i = 0; status.ok() && i < tensors.size(); ++i) {
      choices[i] = options[i].choices_for(codings[i], inputs[i]);
      if (options[i].search) status = nnr::search_initialisations(codings[i], inputs[i], options[i].sample, choices[i]);
      status.tensor = static_cast<std::uint32_t>(i);
    }
    if (status.ok()) status = nnr::encode_payload(codings, inputs, choices, encoded);
  }
  nb::list starts;
  for (const auto& tensor_starts : encoded.block_row_starts) starts.append(starts_list(tensor_starts));
  return nb::make_tuple(status_tuple(status), bytes_of(encoded.bytes), starts);
}

void dequantize(const Levels& levels, double step, const Array<float>& values) {
  if (levels.size() != values.size()) throw nb::value_error("levels and values differ in size");
  const nb::gil_scoped_release release;
  nnr::dequantize(span_of(levels), step, values.data());
}

std::size_t quantize_uniform(const Weights& weights, double step, const MutableLevels& levels) {
  if (weights.size() != levels.size()) throw nb::value_error("weights and levels differ in size");
  const nb::gil_scoped_release release;
  return nnr::quantize_uniform(span_of(weights), step, levels.data());
}

std::size_t quantize_dependent(const Weights& weights, double step, const nnr::TensorCoding& coding,
                               const MutableLevels& levels) {
  require_size(weights.size(), coding);
  require_size(levels.size(), coding);
  const nb::gil_scoped_release release;
  return nnr::quantize_dependent(span_of(weights), step, coding, levels.data());
}

std::span<const std::uint8_t> checked_initialisations(const std::optional<Bytes>& initialisations) {
  if (!initialisations) return {};
  for (const std::uint8_t index : span_of(*initialisations))
    if (index >= nnr::kInitialisationCount) throw nb::value_error("initialisations are 0..8");
  return span_of(*initialisations);
}

// Returns the status and the cheapest initialisations.
nb::tuple search_initialisations(const TensorInput& tensor, const Levels& levels, const EncodeOptions& options) {
  const nnr::TensorCoding coding = checked_coding(tensor);
  require_size(levels.size(), coding);
  nnr::TensorChoices choices;
  nnr::Status status;
  {
    const nb::gil_scoped_release release;
    choices = options.choices_for(coding, levels.data());
    status = nnr::search_initialisations(coding, levels.data(), options.sample, choices);
  }
  return nb::make_tuple(status_tuple(status), bytes_of(choices.initialisations));
}

// Returns the status and the bits of significance, signs, greater-than flags, escapes and side information.
nb::tuple estimate_rate(const TensorInput& tensor, const Levels& levels, const EncodeOptions& options) {
  const nnr::TensorCoding coding = checked_coding(tensor);
  require_size(levels.size(), coding);
  nnr::RateEstimate rate;
  nnr::Status status;
  {
    const nb::gil_scoped_release release;
    nnr::TensorChoices choices = options.choices_for(coding, levels.data());
    if (options.search) status = nnr::search_initialisations(coding, levels.data(), options.sample, choices);
    if (status.ok()) status = nnr::estimate_rate(coding, levels.data(), choices, rate);
  }
  const auto bits = [](std::int64_t cost) { return static_cast<double>(cost) / nnr::kBypassCost; };
  return nb::make_tuple(status_tuple(status), bits(rate.significance), bits(rate.sign), bits(rate.greater), bits(rate.escape),
                        bits(rate.side));
}

// Returns the bits of the value after `values`: significance 0 and 1 (3 kinds of 8 states), signs (3 kinds of 2), and magnitudes
// 1 to `largest` (2 signs).
nb::tuple cost_tables(const nnr::TensorCoding& coding, const Levels& values, const std::optional<Bytes>& initialisations,
                      int largest) {
  if (coding.codebook_size != 0 || largest < 1 || largest > 1 << 20) throw nb::value_error("setting out of range");
  nnr::RateTables rates(coding, false, checked_initialisations(initialisations));
  nnr::Neighbourhood neighbourhood;
  for (const std::int32_t value : span_of(values)) rates.adapt(neighbourhood, value);
  rates.refresh(1.0);
  std::vector<float> zero;
  std::vector<float> nonzero;
  std::vector<float> sign;
  std::vector<float> magnitude;
  for (std::size_t kind = 0; kind <= nnr::RateTables::kAfterPositive; ++kind) {
    zero.insert(zero.end(), rates.zero[kind].begin(), rates.zero[kind].end());
    nonzero.insert(nonzero.end(), rates.nonzero[kind].begin(), rates.nonzero[kind].end());
    sign.insert(sign.end(), rates.sign[kind].begin(), rates.sign[kind].end());
  }
  for (const bool negative : {false, true})
    for (int q = 1; q <= largest; ++q) magnitude.push_back(rates.magnitude(q, negative));
  return nb::make_tuple(zero, nonzero, sign, magnitude);
}

std::vector<double> magnitude_costs(const Levels& values, const std::vector<int>& candidates) {
  for (const int candidate : candidates)
    if (candidate < 1 || candidate > 256) throw nb::value_error("unary lengths are 1..256");
  std::vector<std::int64_t> costs;
  {
    const nb::gil_scoped_release release;
    costs = nnr::magnitude_costs(span_of(values), candidates);
  }
  std::vector<double> bits;
  bits.reserve(costs.size());
  for (const std::int64_t cost : costs) bits.push_back(static_cast<double>(cost) / nnr::kBypassCost);
  return bits;
}

std::size_t quantize_rdo(const Weights& weights, double step, const TensorInput& tensor, const MutableLevels& levels,
                         double lambda, const std::optional<Weights>& importance, const std::optional<Bytes>& initialisations,
                         bool history_enabled, bool row_skip, bool adaptive, float beam, int interval, nnr::WorkQueue* workers) {
  const nnr::TensorCoding coding = checked_coding(tensor);
  require_size(weights.size(), coding);
  require_size(levels.size(), coding);
  if (importance) require_size(importance->size(), coding);
  if (!(lambda >= 0) || !(beam > 0) || interval < 0 || interval > 1024) throw nb::value_error("setting out of range");
  nnr::RdoSettings settings{lambda,          adaptive, beam, interval, importance ? importance->data() : nullptr,
                            history_enabled, row_skip};
  settings.initialisations = checked_initialisations(initialisations);
  settings.queue = workers;
  const nb::gil_scoped_release release;
  return nnr::quantize_rdo(span_of(weights), step, coding, settings, levels.data());
}

std::size_t quantize_feedback(const Weights& weights, double step, const nnr::TensorCoding& coding, const MutableLevels& levels,
                              double lambda, const Weights& coefficients, const Weights& column_weights,
                              const std::optional<Weights>& row_weights, const std::optional<Bytes>& initialisations,
                              int survivors, int interval, bool inputs_first, int lines) {
  require_size(weights.size(), coding);
  require_size(levels.size(), coding);
  const std::uint64_t inputs = inputs_first ? coding.rows : coding.width;
  const bool valid = lines >= 1 && lines <= 1024 && lambda >= 0 && survivors >= 1 && survivors <= 16 && interval >= 8 &&
                     interval <= 1 << 16 && column_weights.size() == inputs && coefficients.size() == inputs * inputs &&
                     (!row_weights || row_weights->size() == (inputs_first ? coding.width : coding.rows)) &&
                     coding.codebook_size == 0 && coding.block_side() == 0;
  if (!valid) throw nb::value_error("setting out of range");
  nnr::FeedbackSettings settings{
      lambda, coefficients.data(), column_weights.data(), row_weights ? row_weights->data() : nullptr, survivors, interval};
  settings.initialisations = checked_initialisations(initialisations);
  settings.inputs_first = inputs_first;
  settings.lines = lines;
  const nb::gil_scoped_release release;
  return nnr::quantize_feedback(span_of(weights), step, coding, settings, levels.data());
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "Entropy coding and quantisation of whole tensors.";

  nb::enum_<nnr::Outcome>(m, "Outcome")
      .value("OK", nnr::Outcome::kOk)
      .value("TRUNCATED", nnr::Outcome::kTruncated)
      .value("LEVEL_OVERFLOW", nnr::Outcome::kLevelOverflow)
      .value("OFFSET_ABOVE_RANGE", nnr::Outcome::kOffsetAboveRange)
      .value("NO_TERMINATION", nnr::Outcome::kNoTermination)
      .value("BAD_STOP_BIT", nnr::Outcome::kBadStopBit)
      .value("TRAILING_BYTES", nnr::Outcome::kTrailingBytes)
      .value("PARITY_MISMATCH", nnr::Outcome::kParityMismatch)
      .value("NOT_IN_CODEBOOK", nnr::Outcome::kNotInCodebook)
      .value("LEVEL_IN_SKIPPED_ROW", nnr::Outcome::kLevelInSkippedRow);

  nb::class_<nnr::TensorCoding>(m, "TensorCoding")
      .def(
          "__init__",
          [](nnr::TensorCoding* self, std::uint64_t rows, std::uint64_t width, int scan_order, int unary_length, bool dependent,
             bool profile1, bool parent_present, int qp_bits, std::int64_t codebook_size, std::int64_t codebook_zero) {
            const bool valid = scan_order >= 0 && scan_order <= 4 && unary_length >= 1 && unary_length <= 256 && qp_bits >= 0 &&
                               qp_bits <= 32 && codebook_size >= 0 && codebook_size <= INT32_MAX && codebook_zero >= 0 &&
                               codebook_zero < (codebook_size > 0 ? codebook_size : 1) &&
                               (width == 0 || rows <= (std::uint64_t{1} << 62) / width);
            if (!valid) throw nb::value_error("tensor coding out of range");
            new (self) nnr::TensorCoding{rows,     width,          scan_order, unary_length,  dependent,
                                         profile1, parent_present, qp_bits,    codebook_size, codebook_zero};
          },
          nb::kw_only(), "rows"_a, "width"_a, "scan_order"_a = 0, "unary_length"_a = 10, "dependent"_a = false,
          "profile1"_a = true, "parent_present"_a = false, "qp_bits"_a = 0, "codebook_size"_a = 0, "codebook_zero"_a = 0)
      .def_prop_ro("size", &nnr::TensorCoding::size)
      .def_ro("rows", &nnr::TensorCoding::rows)
      .def_ro("width", &nnr::TensorCoding::width)
      .def_ro("dependent", &nnr::TensorCoding::dependent);

  nb::class_<TensorInput>(m, "Tensor")
      .def(
          "__init__",
          [](TensorInput* self, const nnr::TensorCoding& coding, std::optional<Levels> base, std::optional<Mask> history) {
            new (self) TensorInput{coding, std::move(base), std::move(history)};
          },
          "coding"_a, "base"_a = nb::none(), "history"_a = nb::none());

  nb::class_<EncodeOptions>(m, "EncodeOptions")
      .def(
          "__init__",
          [](EncodeOptions* self, std::int32_t qp_value, bool history_enabled, bool row_skip, bool search, std::uint64_t sample) {
            new (self) EncodeOptions{qp_value, history_enabled, row_skip, search, sample};
          },
          nb::kw_only(), "qp_value"_a = 0, "history_enabled"_a = false, "row_skip"_a = true, "search"_a = true, "sample"_a = 0);

  m.def("decode_payload", &decode_payload, "payload"_a, "tensors"_a, "levels"_a, "reference"_a = false);
  m.def("step_size", &nnr::step_size, "qp"_a, "qp_density"_a);
  m.def("dequantize", &dequantize, "levels"_a, "step"_a, "values"_a);
  m.def("encode_payload", &encode_payload, "tensors"_a, "levels"_a, "options"_a);
  m.def("quantize_uniform", &quantize_uniform, "weights"_a, "step"_a, "levels"_a);
  m.def("quantize_dependent", &quantize_dependent, "weights"_a, "step"_a, "coding"_a, "levels"_a);
  m.def("search_initialisations", &search_initialisations, "tensor"_a, "levels"_a, "options"_a);
  m.def("estimate_rate", &estimate_rate, "tensor"_a, "levels"_a, "options"_a);
  m.def("cost_tables", &cost_tables, "coding"_a, "values"_a, "initialisations"_a, "largest"_a);
  m.def("magnitude_costs", &magnitude_costs, "values"_a, "candidates"_a);
  register_probe(m);
  register_syntax(m);
  register_tasks(m);
  register_observer(m);
  register_units(m);
  register_walk(m);
  register_source(m);
  register_decode_task(m);
  m.def("quantize_rdo", &quantize_rdo, "weights"_a, "step"_a, "tensor"_a, "levels"_a, nb::kw_only(), "lambda_"_a,
        "importance"_a = nb::none(), "initialisations"_a = nb::none(), "history_enabled"_a = false, "row_skip"_a = false,
        "adaptive"_a = true, "beam"_a = nnr::RdoSettings{}.beam, "interval"_a = 0, "workers"_a.none() = nb::none());
  m.def("quantize_feedback", &quantize_feedback, "weights"_a, "step"_a, "coding"_a, "levels"_a, nb::kw_only(), "lambda_"_a,
        "coefficients"_a, "column_weights"_a, "row_weights"_a = nb::none(), "initialisations"_a = nb::none(), "survivors"_a = 1,
        "interval"_a = 32, "inputs_first"_a = false, "lines"_a = 1);
}
