// SPDX-License-Identifier: Apache-2.0
// The forward recursion of rate-distortion optimised dependent quantisation with rates that all paths share.
//
// Nodes are the 8 states, split by whether the value before was zero, on which the next contexts of significance and sign depend.
// Only one value leads from each state to a node after zero. A node after a nonzero value has two states before it, and the
// parity tells their values apart. Costs are in squared steps. Clause: format 5.2 to 5.4.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "nnr/candidate_costs.hpp"
#include "nnr/dependent_quantization.hpp"

namespace nnr {

// Costs of the significance and sign bins of a weight, by state.
struct TransitionRates {
  using ByState = std::array<float, kTrellisStates>;
  // By whether the value before was zero (0) or not (1).
  alignas(32) std::array<ByState, 2> zero;
  alignas(32) std::array<ByState, 2> nonzero;
};

using SharedRates = std::array<TransitionRates, kTransitions>;

// The decisions at a weight, bit by state: in bits 0 to 7 whether the cheaper path into zero came after a nonzero value, by the
// state before; in bits 8 to 15 the same for nonzero values; in bits 16 to 23 the parity of the value, by the state after.
using SharedDecision = std::uint32_t;

struct SharedTrellis {
  using Costs = std::array<float, kTrellisStates>;
  alignas(32) std::array<Costs, 2> costs;  // of the path to each node, after zero and after a nonzero value

  // The step of a path back over one weight.
  struct StepBack {
    std::uint8_t kind;    // 1 if the value before was not zero
    std::uint8_t state;   // state before
    std::uint8_t parity;  // parity of the value
  };

  // All paths start at one node.
  void start(std::size_t kind, std::size_t state) {
    for (Costs& of_kind : costs) of_kind.fill(kUnreachableCost);
    costs[kind][state] = 0;
  }
  // Paths start at every node.
  void start_anywhere() { costs = {}; }

  // Extends the paths by `count` weights, then subtracts the least cost. Results do not depend on the processor.
  void run(const CandidateCosts& candidates, std::size_t count, const SharedRates& rates, SharedDecision* decisions);
  // The reference of run(). It is also the portable implementation.
  void run_reference(const CandidateCosts& candidates, std::size_t count, const SharedRates& rates, SharedDecision* decisions);

  [[nodiscard]] static StepBack step_back(SharedDecision decision, std::size_t kind, std::size_t state) {
    const std::size_t parity = kind == 0 ? 0 : decision >> (16 + state) & 1U;
    const std::size_t before = kPreviousState[parity][state];
    const auto kind_before = static_cast<std::uint8_t>(decision >> (8 * kind + before) & 1U);
    return {kind_before, static_cast<std::uint8_t>(before), static_cast<std::uint8_t>(parity)};
  }

 private:
  void rebase();
};

}  // namespace nnr
