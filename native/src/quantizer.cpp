// SPDX-License-Identifier: Apache-2.0
#include "nnr/quantizer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "nnr/scan.hpp"
#include "nnr/tables.hpp"

namespace nnr {

namespace {

std::size_t first_out_of_range(std::span<const float> weights, double step) {
  const double bound = kMaxLevel * step;
  const auto bad = std::find_if(weights.begin(), weights.end(), [&](float w) { return !(std::abs(w) <= bound); });
  return static_cast<std::size_t>(bad - weights.begin());
}

// The levels reachable from a state form two sets by the parity of the coded value. As magnitudes:
// even state, even value 0 4 8..; even state, odd value 2 6 10..; odd state, even value 0 3 7..; odd state, odd value 1 5 9..
struct Candidates {
  std::array<double, 4> magnitude;  // nearest of each set, by 2 * (state & 1) + parity
  std::array<double, 4> distortion;
};

Candidates nearest(double x) {
  const auto on_grid = [x](double first) { return std::max(first, 4.0 * std::nearbyint((x - first) * 0.25) + first); };
  Candidates c{};
  c.magnitude = {on_grid(0.0), on_grid(2.0), x < 1.5 ? 0.0 : on_grid(3.0), on_grid(1.0)};
  for (std::size_t i = 0; i < 4; ++i) {
    const double error = x - c.magnitude[i];
    c.distortion[i] = error * error;
  }
  return c;
}

struct Branch {
  int state;
  int parity;
};

// The two branches that lead to each state.
constexpr std::array<std::array<Branch, 2>, kTrellisStates> make_incoming() {
  std::array<std::array<Branch, 2>, kTrellisStates> incoming{};
  std::array<std::size_t, kTrellisStates> found{};
  for (int state = 0; state < kTrellisStates; ++state)
    for (int parity = 0; parity < 2; ++parity) {
      const std::size_t to = kNextState[state][parity];
      incoming[to][found[to]++] = {state, parity};
    }
  return incoming;
}

constexpr auto kIncoming = make_incoming();

constexpr std::size_t candidate_set(Branch branch) {
  return static_cast<std::size_t>(2 * (branch.state & 1) + branch.parity);
}

}  // namespace

std::size_t quantize_uniform(std::span<const float> weights, double step, std::int32_t* levels) {
  if (const std::size_t bad = first_out_of_range(weights, step); bad != weights.size()) return bad;
  for (std::size_t i = 0; i < weights.size(); ++i)
    levels[i] = static_cast<std::int32_t>(std::nearbyint(static_cast<double>(weights[i]) / step));
  return weights.size();
}

std::size_t quantize_dependent(std::span<const float> weights, double step, const TensorCoding& coding,
                               std::int32_t* levels) {
  if (const std::size_t bad = first_out_of_range(weights, step); bad != weights.size()) return bad;
  constexpr double kUnreachable = std::numeric_limits<double>::infinity();
  std::array<double, kTrellisStates> costs;
  costs.fill(kUnreachable);
  costs[0] = 0;
  const double inverse = 1.0 / step;

  // Forward, in coding order: bit t of decisions[n] says which of kIncoming[t] is the cheaper way to state t.
  std::vector<std::uint8_t> decisions;
  decisions.reserve(weights.size());
  for (std::uint64_t block_row = 0; block_row < coding.block_rows(); ++block_row)
    for_each_segment(coding, block_row, [&](const Segment& segment) {
      for (std::uint64_t i = segment.begin; i < segment.begin + segment.length; ++i) {
        const Candidates c = nearest(std::abs(static_cast<double>(weights[i]) * inverse));
        std::array<double, kTrellisStates> next;
        unsigned decision = 0;
        for (std::size_t t = 0; t < kTrellisStates; ++t) {
          const Branch first = kIncoming[t][0];
          const Branch second = kIncoming[t][1];
          const double via_first = costs[static_cast<std::size_t>(first.state)] + c.distortion[candidate_set(first)];
          const double via_second = costs[static_cast<std::size_t>(second.state)] + c.distortion[candidate_set(second)];
          next[t] = std::min(via_first, via_second);
          decision |= (via_second < via_first ? 1U : 0U) << t;
        }
        costs = next;
        decisions.push_back(static_cast<std::uint8_t>(decision));
      }
      return true;
    });

  // Back along the cheapest path: parities of the coded values, in place of the decisions.
  auto state = static_cast<std::size_t>(std::min_element(costs.begin(), costs.end()) - costs.begin());
  for (std::size_t n = decisions.size(); n-- > 0;) {
    const Branch branch = kIncoming[state][(decisions[n] >> state) & 1U];
    decisions[n] = static_cast<std::uint8_t>(candidate_set(branch));
    state = static_cast<std::size_t>(branch.state);
  }

  std::size_t n = 0;
  for (std::uint64_t block_row = 0; block_row < coding.block_rows(); ++block_row)
    for_each_segment(coding, block_row, [&](const Segment& segment) {
      for (std::uint64_t i = segment.begin; i < segment.begin + segment.length; ++i) {
        const double weight = weights[i];
        const double magnitude = nearest(std::abs(weight * inverse)).magnitude[decisions[n++]];
        levels[i] = static_cast<std::int32_t>(std::copysign(magnitude, weight));
      }
      return true;
    });
  return weights.size();
}

}  // namespace nnr
