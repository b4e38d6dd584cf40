// SPDX-License-Identifier: Apache-2.0
#include "nnr/quantizer.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "nnr/scan.hpp"
#include "nnr/trellis.hpp"

namespace nnr {

namespace {

std::size_t first_out_of_range(std::span<const float> weights, double step) {
  const double bound = kMaxLevel * step;
  const auto bad = std::find_if(weights.begin(), weights.end(), [&](float w) { return !(std::abs(w) <= bound); });
  return static_cast<std::size_t>(bad - weights.begin());
}

}  // namespace

std::size_t quantize_uniform(std::span<const float> weights, double step, std::int32_t* levels) {
  if (const std::size_t bad = first_out_of_range(weights, step); bad != weights.size()) return bad;
  for (std::size_t i = 0; i < weights.size(); ++i)
    levels[i] = static_cast<std::int32_t>(std::nearbyint(static_cast<double>(weights[i]) / step));
  return weights.size();
}

std::size_t quantize_dependent(std::span<const float> weights, double step, const TensorCoding& coding, std::int32_t* levels) {
  if (const std::size_t bad = first_out_of_range(weights, step); bad != weights.size()) return bad;
  const double inverse = 1.0 / step;
  const auto in_coding_order = [&](auto&& visit) {
    for (std::uint64_t block_row = 0; block_row < coding.block_rows(); ++block_row)
      for_each_segment(coding, block_row, [&](const Segment& segment) {
        visit(static_cast<std::size_t>(segment.begin), static_cast<std::size_t>(segment.length));
        return true;
      });
  };

  // Forward: which branch is the cheaper way to each state.
  Trellis trellis;
  std::vector<std::uint8_t> decisions(weights.size());
  std::size_t n = 0;
  in_coding_order([&](std::size_t begin, std::size_t length) {
    trellis.follow(&weights[begin], length, inverse, &decisions[n]);
    n += length;
  });

  // Back along the cheapest path: sets of the values, in place of the decisions.
  auto state = static_cast<std::size_t>(std::min_element(trellis.costs.begin(), trellis.costs.end()) - trellis.costs.begin());
  while (n-- > 0) {
    const StepBack back = kStepsBack[state][decisions[n]];
    decisions[n] = back.set;
    state = back.state;
  }

  n = 0;
  in_coding_order([&](std::size_t begin, std::size_t length) {
    for (std::size_t i = begin; i < begin + length; ++i) {
      const double weight = weights[i];
      const double magnitude = nearest_magnitude(std::abs(weight * inverse), decisions[n++]);
      levels[i] = static_cast<std::int32_t>(std::copysign(magnitude, weight));
    }
  });
  return weights.size();
}

}  // namespace nnr
