// SPDX-License-Identifier: Apache-2.0
#include "nnr/quantizer.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <vector>

#include "nnr/observer.hpp"
#include "nnr/scan.hpp"
#include "nnr/trellis.hpp"

namespace nnr {

std::size_t find_out_of_range(std::span<const float> weights, double step, double largest) {
  assert(step > 0);
  const double bound = largest * step;
  // Written so that a NaN is out of range.
  const auto position = std::find_if(weights.begin(), weights.end(), [&](float w) { return !(std::abs(w) <= bound); });
  return static_cast<std::size_t>(position - weights.begin());
}

std::size_t quantize_uniform(std::span<const float> weights, double step, std::int32_t* levels) {
  if (const std::size_t position = find_out_of_range(weights, step); position != weights.size()) return position;
  in_observed_pieces(weights.size(), [&](std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t i = begin; i < end; ++i)
      levels[i] = static_cast<std::int32_t>(std::nearbyint(static_cast<double>(weights[i]) / step));
  });
  return weights.size();
}

std::size_t quantize_dependent(std::span<const float> weights, double step, const TensorCoding& coding, std::int32_t* levels) {
  if (const std::size_t position = find_out_of_range(weights, step); position != weights.size()) return position;
  const double inverse = 1.0 / step;

  // Forward pass: the cheaper branch into each state.
  Trellis trellis;
  std::vector<std::uint8_t> decisions(weights.size());
  std::size_t n = 0;
  for_each_segment_of_tensor(coding, [&](const Segment& segment) {
    in_observed_pieces(segment.length, [&](std::uint64_t begin, std::uint64_t end) {
      trellis.run(&weights[segment.begin + begin], end - begin, inverse, &decisions[n + begin]);
    });
    n += segment.length;
  });

  // Traceback along the cheapest path. The set of each level replaces its decisions.
  auto state = static_cast<std::size_t>(std::min_element(trellis.costs.begin(), trellis.costs.end()) - trellis.costs.begin());
  while (n-- > 0) {
    const TracebackStep step_back = kTraceback[state][decisions[n]];
    decisions[n] = step_back.set;
    state = step_back.state;
  }

  n = 0;
  for_each_segment_of_tensor(coding, [&](const Segment& segment) {
    for (std::size_t i = segment.begin; i < segment.begin + segment.length; ++i) {
      const double weight = weights[i];
      const double magnitude = nearest_magnitude(std::abs(weight * inverse), decisions[n++]);
      levels[i] = static_cast<std::int32_t>(std::copysign(magnitude, weight));
    }
  });
  return weights.size();
}

}  // namespace nnr
