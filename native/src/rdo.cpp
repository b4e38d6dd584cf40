// SPDX-License-Identifier: Apache-2.0
#include "nnr/rdo.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "nnr/quantizer.hpp"
#include "nnr/rdo_trellis.hpp"
#include "nnr/scan.hpp"
#include "nnr/tables.hpp"

namespace nnr {

namespace {

template <class T>
std::vector<T> in_coding_order(const T* values, const TensorCoding& coding) {
  std::vector<T> ordered;
  if (values == nullptr) return ordered;
  ordered.reserve(coding.size());
  for (std::uint64_t block_row = 0; block_row < coding.block_rows(); ++block_row)
    for_each_segment(coding, block_row, [&](const Segment& segment) {
      ordered.insert(ordered.end(), values + segment.begin, values + segment.begin + segment.length);
      return true;
    });
  return ordered;
}

template <bool kDependent>
void quantize(const OrderedTensor& tensor, double step, const TensorCoding& coding, const RdoSettings& settings,
              std::int32_t* values) {
  RdoTrellis<kDependent>(tensor, step, coding, settings).run(values);
  if constexpr (kDependent) {
    int state = 0;
    for (std::uint64_t i = 0; i < coding.size(); ++i) {
      const std::int32_t value = values[i];
      values[i] = 2 * value - ((state & 1) != 0 ? (value > 0) - (value < 0) : 0);
      state = kNextState[state][value & 1];
    }
  }
}

}  // namespace

std::size_t quantize_rdo(std::span<const float> weights, double step, const TensorCoding& coding, const RdoSettings& settings,
                         std::int32_t* levels) {
  const double bound = kMaxLevel * step;
  const auto bad = std::find_if(weights.begin(), weights.end(), [&](float w) { return !(std::abs(w) <= bound); });
  if (bad != weights.end()) return static_cast<std::size_t>(bad - weights.begin());

  const auto run = coding.dependent ? quantize<true> : quantize<false>;
  if (coding.block_side() == 0) {
    run({weights.data(), settings.importance, coding.base, coding.history}, step, coding, settings, levels);
    return weights.size();
  }
  const auto ordered_weights = in_coding_order(weights.data(), coding);
  const auto ordered_importance = in_coding_order(settings.importance, coding);
  const auto ordered_base = in_coding_order(coding.base, coding);
  const auto ordered_history = in_coding_order(coding.history, coding);
  const auto pointer = [](const auto& values) { return values.empty() ? nullptr : values.data(); };
  std::vector<std::int32_t> ordered_levels(weights.size());
  run({ordered_weights.data(), pointer(ordered_importance), pointer(ordered_base), pointer(ordered_history)}, step, coding,
      settings, ordered_levels.data());
  auto next = ordered_levels.cbegin();
  for (std::uint64_t block_row = 0; block_row < coding.block_rows(); ++block_row)
    for_each_segment(coding, block_row, [&](const Segment& segment) {
      std::copy_n(next, segment.length, levels + segment.begin);
      next += static_cast<std::ptrdiff_t>(segment.length);
      return true;
    });
  return weights.size();
}

}  // namespace nnr
