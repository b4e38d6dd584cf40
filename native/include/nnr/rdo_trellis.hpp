// SPDX-License-Identifier: Apache-2.0
// The Viterbi search of rate-distortion optimised quantisation (rdo.hpp).
//
// Paths merge in nodes, and every surviving path carries its own adapted contexts. Costs are in squared steps.
// Clause: format 5.2 to 5.5.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "nnr/dependent_quantization.hpp"
#include "nnr/observer.hpp"
#include "nnr/rdo.hpp"
#include "nnr/shared_search.hpp"
#include "nnr/survivor_contexts.hpp"

namespace nnr {

template <bool kDependent>
class RdoTrellis {
 public:
  // `tensor`, `coding` and `settings` must outlive the search.
  RdoTrellis(const OrderedTensor& tensor, double step, const TensorCoding& coding, const RdoSettings& settings)
      : tensor_(tensor),
        inverse_(1.0 / step),
        coding_(coding),
        settings_(settings),
        row_width_(settings.row_skip && coding.has_row_skip_flag() && coding.block_side() == 0 ? coding.width : 0),
        block_row_size_(coding.block_side() * coding.width),
        zero_bias_(std::min(0.5, kZeroBiasPerBit * settings.lambda)),
        contexts_(coding, settings.history_enabled, settings.initialisations, settings.lambda, largest_value(),
                  kRowSlot + kNodes) {
    const float heaviest =
        tensor.importance == nullptr ? 1.0F : *std::max_element(tensor.importance, tensor.importance + coding.size());
    beam_ = settings.beam * (std::max(heaviest, 1.0F) + static_cast<float>(settings.lambda));
    decisions_.reserve(coding.size());
    if (row_width_ != 0) skips_.reserve(coding.rows);
    costs_.fill(kUnreachable);
    costs_[0] = 0;
    row_skip_.initialise(0);
  }

  // Writes the coded values of all weights, in coding order.
  void run(std::int32_t* values) {
    const std::uint64_t size = coding_.size();
    std::uint64_t row_end = row_width_ != 0 ? row_width_ : size + 1;
    for (std::uint64_t n = 0; n < size;) {
      if (block_row_size_ != 0 && n != 0 && n % block_row_size_ == 0) restart();
      if (row_width_ != 0 && n % row_width_ == 0) begin_row();
      advance(n++);
      if (n == row_end) {
        end_row();
        row_end += row_width_;
      }
      if (n % kRebaseInterval == 0) rebase();
      if (n % kReportInterval == 0) nnr::advance(kReportInterval);
    }
    trace_back(size, values);
  }

 private:
  static constexpr float kUnreachable = std::numeric_limits<float>::infinity();
  static constexpr std::size_t kStates = kDependent ? kTrellisStates : 1;
  // A node is the point where paths merge: kStates * (1 if the level before was not zero) + state.
  static constexpr std::size_t kNodes = 2 * kStates;
  // Slots of contexts: two banks of one per node, before and after a weight, which swap; then one per node kept since the start
  // of the row.
  static constexpr std::size_t kRowSlot = 2 * kNodes;
  static constexpr std::uint64_t kRebaseInterval = 64;
  static constexpr std::uint64_t kReportInterval = 1 << 12;
  // Distance between neighbouring levels of a quantiser, in steps.
  static constexpr double kSpacing = kDependent ? 2.0 : 1.0;
  // Shift of the candidates towards zero, per cost of a bit. Of two values of one parity at equal distance from a weight, the
  // lower one takes about 2 bits less, so it may err by as much more.
  static constexpr double kZeroBiasPerBit = kDependent ? 2.0 / 16.0 : 0.0;

  // The two values next to a weight in one quantiser. One is even and one is odd. Other values of the same parity cost a whole
  // period of the quantiser in distortion.
  struct Candidates {
    double scaled = 0;       // magnitude of the weight in units of coded values
    std::int64_t lower = 0;  // the smaller candidate; the other one is lower + 1

    Candidates(double x, std::size_t quantizer, double zero_bias)
        : scaled((x + static_cast<double>(quantizer)) / kSpacing),
          lower(static_cast<std::int64_t>(std::max(scaled - zero_bias, 0.0))) {}

    // The name of candidate i in decisions: its parity, or i itself in the scalar quantiser. The mapping is its own inverse.
    [[nodiscard]] std::size_t choice(std::size_t i) const { return kDependent ? static_cast<std::size_t>(lower & 1) ^ i : i; }
    [[nodiscard]] std::int64_t value(std::size_t chosen) const { return lower + static_cast<std::int64_t>(choice(chosen)); }
  };

  // The last step of the cheapest path to a node, packed into one integer so that a branchless minimum selects it. The bits of
  // its cost come first: as integers they are ordered like costs, which are not negative. The choice and the node it comes from
  // follow.
  class Arrival {
   public:
    Arrival() = default;
    Arrival(float cost, std::size_t from, std::size_t choice)
        : packed_(std::uint64_t{std::bit_cast<std::uint32_t>(cost)} << 32 | choice << 4 | from) {}
    void keep_cheaper(const Arrival& other) { packed_ = std::min(packed_, other.packed_); }
    [[nodiscard]] float cost() const { return std::bit_cast<float>(static_cast<std::uint32_t>(packed_ >> 32)); }
    [[nodiscard]] std::size_t from() const { return packed_ & 15U; }
    [[nodiscard]] std::size_t choice() const { return packed_ >> 4 & 1U; }

   private:
    std::uint64_t packed_ = std::uint64_t{std::bit_cast<std::uint32_t>(kUnreachable)} << 32;
  };

  [[nodiscard]] static std::size_t state_after(std::size_t state, std::size_t parity) {
    return kDependent ? kNextState[state][parity] : 0;
  }
  [[nodiscard]] static std::size_t state_before(std::size_t parity, std::size_t state) {
    return kDependent ? kPreviousState[parity][state] : 0;
  }
  [[nodiscard]] float importance(std::uint64_t n) const { return tensor_.importance != nullptr ? tensor_.importance[n] : 1.0F; }
  // Calls visit(node) for each set bit, in ascending order.
  template <class Visit>
  static void for_each(std::uint32_t nodes, Visit&& visit) {
    for (; nodes != 0; nodes &= nodes - 1) visit(static_cast<std::size_t>(std::countr_zero(nodes)));
  }

  [[nodiscard]] std::int64_t largest_value() const {
    float largest = 0;
    for (std::uint64_t n = 0; n < coding_.size(); ++n) largest = std::max(largest, std::abs(tensor_.weights[n]));
    return Candidates(largest * inverse_, 1, 0.0).lower + 1;
  }

  // Extends all paths by one weight. The bits of a decision, for each state s: bit s is 1 if the cheaper path to zero comes after
  // a non-zero level; bit kStates + 2 * s says the same of the path to a non-zero level, and the bit above it is that level's
  // choice.
  void advance(std::uint64_t n) {
    const float weight = tensor_.weights[n];
    const bool negative = std::signbit(weight);
    const double x = std::abs(weight * inverse_);
    const float weight_importance = importance(n);
    Neighbourhood neighbourhood;
    neighbourhood.base = tensor_.base != nullptr ? tensor_.base[n] : 0;
    neighbourhood.history = settings_.history_enabled && tensor_.history != nullptr && tensor_.history[n] != 0;

    const std::array<Candidates, 2> candidates{Candidates(x, 0, zero_bias_), Candidates(x, kDependent ? 1 : 0, zero_bias_)};
    std::array<std::array<float, 2>, 2> distortions;
    std::array<float, 2> least_distortion;
    for (std::size_t quantizer = 0; quantizer < 2; ++quantizer) {
      const auto& [scaled, lower] = candidates[quantizer];
      const auto error = static_cast<float>(kSpacing * (scaled - static_cast<double>(lower)));
      const float upper_error = error - static_cast<float>(kSpacing);
      distortions[quantizer] = {lower < 1 ? kUnreachable : weight_importance * error * error,
                                weight_importance * upper_error * upper_error};
      least_distortion[quantizer] = std::min(distortions[quantizer][0], distortions[quantizer][1]);
    }
    const float zero_distortion = weight_importance * static_cast<float>(x * x);

    // Contexts of significance and sign, by whether the level before was not zero. Significance contexts advance by `stride` a
    // state.
    std::array<int, 2> significance{neighbourhood.significance(), 0};
    std::array<int, 2> sign{neighbourhood.sign(), 0};
    neighbourhood.previous = sign_before_;
    significance[1] = neighbourhood.significance();
    sign[1] = neighbourhood.sign();
    neighbourhood.state = 1;
    const int stride = neighbourhood.significance() - significance[1];

    std::array<Arrival, kNodes> next;
    std::array<float, kNodes> nonzero;
    float least = kUnreachable;
    for_each(reached_, [&](std::size_t node) {
      const std::size_t kind = node / kStates;
      const std::size_t state = node % kStates;
      const auto& bin = contexts_.significance(bank_ + node, significance[kind] + stride * static_cast<int>(state));
      const float zero = costs_[node] + bin[0] + zero_distortion;
      nonzero[node] = costs_[node] + bin[1] + contexts_.sign(bank_ + node, sign[kind])[negative ? 1 : 0];
      least = std::min(least, zero);
      next[state_after(state, 0)].keep_cheaper({zero, node, 0});
    });
    for_each(reached_, [&](std::size_t node) {
      const std::size_t state = node % kStates;
      const std::size_t quantizer = state & 1U;
      if (!(nonzero[node] + least_distortion[quantizer] <= least + beam_)) return;
      std::array<float, 2> rates{};
      contexts_.magnitudes(bank_ + node, neighbourhood, negative, candidates[quantizer].lower, rates);
      for (std::size_t i = 0; i < 2; ++i) {
        const float cost = nonzero[node] + rates[i] + distortions[quantizer][i];
        least = std::min(least, cost);
        const std::size_t choice = candidates[quantizer].choice(i);
        next[kStates + state_after(state, choice)].keep_cheaper({cost, node, choice});
      }
    });

    const float limit = least + beam_;
    reached_ = 0;
    for (std::size_t node = 0; node < kNodes; ++node) reached_ |= (next[node].cost() <= limit ? 1U : 0U) << node;
    costs_.fill(kUnreachable);
    const std::size_t bank_before = bank_;
    bank_ ^= kNodes;
    std::uint32_t decision = 0;
    for_each(reached_, [&](std::size_t node) {
      const Arrival& arrival = next[node];
      const std::size_t from = arrival.from();
      const auto after_nonzero = static_cast<std::uint32_t>(from / kStates);
      costs_[node] = arrival.cost();
      decision |= node < kStates ? after_nonzero << node
                                 : (after_nonzero + 2 * static_cast<std::uint32_t>(arrival.choice())) << (2 * node - kStates);
      contexts_.copy(bank_before + from, bank_ + node);
      if (!settings_.adaptive) return;
      neighbourhood.previous = after_nonzero != 0 ? sign_before_ : 0;
      neighbourhood.state = static_cast<int>(from % kStates);
      const std::int64_t value = node < kStates ? 0 : candidates[from & 1U].value(arrival.choice());
      contexts_.adapt(bank_ + node, neighbourhood, negative ? -value : value);
    });
    decisions_.push_back(decision);
    sign_before_ = negative ? -1 : 1;
  }

  [[nodiscard]] std::size_t cheapest_node() const {
    return static_cast<std::size_t>(std::min_element(costs_.begin(), costs_.end()) - costs_.begin());
  }

  // Writes the coded values of the cheapest path.
  void trace_back(std::uint64_t end, std::int32_t* values) const {
    std::size_t node = cheapest_node();
    for (std::uint64_t n = end; n > 0;) {
      if (row_width_ != 0 && n % row_width_ == 0 && (skips_[n / row_width_ - 1] >> node & 1U) != 0) {
        std::fill(values + (n - row_width_), values + n, 0);
        node = before_skipped_row(node);
        n -= row_width_;
        continue;
      }
      const std::uint32_t decision = decisions_[--n];
      const std::size_t state = node % kStates;
      if (node < kStates) {
        values[n] = 0;
        node = state_before(0, state) + ((decision >> state & 1U) != 0 ? kStates : 0);
        continue;
      }
      const std::uint32_t how = decision >> (kStates + 2 * state) & 3U;
      const std::size_t choice = how >> 1;
      const std::size_t from = state_before(choice, state);
      const double weight = tensor_.weights[n];
      const std::int64_t value = Candidates(std::abs(weight * inverse_), from & 1U, zero_bias_).value(choice);
      values[n] = static_cast<std::int32_t>(std::signbit(weight) ? -value : value);
      node = from + ((how & 1U) != 0 ? kStates : 0);
    }
  }

  // The node before a skipped row that leads to `node`. Skipping keeps the level before.
  [[nodiscard]] std::size_t before_skipped_row(std::size_t node) const {
    std::size_t state = node % kStates;
    for (std::uint64_t i = 0; i < row_width_ % kZeroCycle; ++i) state = state_before(0, state);
    return node - node % kStates + state;
  }

  void begin_row() {
    row_costs_ = costs_;
    row_begin_ = decisions_.size();
    for_each(reached_, [&](std::size_t node) { contexts_.copy(bank_ + node, kRowSlot + node); });
  }

  // Ends a row: the path to a node may be replaced by the path that skips the row.
  void end_row() {
    double energy = 0;
    for (std::uint64_t n = row_begin_; n < decisions_.size(); ++n) {
      const double x = tensor_.weights[n] * inverse_;
      energy += importance(n) * x * x;
    }
    const float skipping = static_cast<float>(energy) + contexts_.cost(row_skip_, true);
    const float coding = contexts_.cost(row_skip_, false);
    unsigned skips = 0;
    for (std::size_t node = 0; node < kNodes; ++node) {
      const std::size_t from = before_skipped_row(node);
      const float skipped = row_costs_[from] + skipping;
      const float coded = costs_[node] + coding;
      costs_[node] = std::min(skipped, coded);
      if (!(skipped < coded)) continue;
      skips |= 1U << node;
      contexts_.copy(kRowSlot + from, bank_ + node);
    }
    reached_ |= skips;
    skips_.push_back(static_cast<std::uint16_t>(skips));
    row_skip_.update((skips >> cheapest_node() & 1U) != 0);
    rebase();
  }

  // Subtracts the least cost, so that costs stay where a float resolves hundredths of a bit.
  void rebase() {
    const float least = costs_[cheapest_node()];
    for (Costs* costs : {&costs_, &row_costs_})
      for (float& cost : *costs) cost -= least;
  }

  // Starts a block row: contexts return to their initial state, and the state of the quantiser continues.
  void restart() {
    for_each(reached_, [&](std::size_t node) { contexts_.restart(bank_ + node); });
    sign_before_ = 0;
  }

  using Costs = std::array<float, kNodes>;

  const OrderedTensor& tensor_;
  const double inverse_;
  const TensorCoding& coding_;
  const RdoSettings& settings_;
  const std::uint64_t row_width_;       // 0 unless rows may be skipped
  const std::uint64_t block_row_size_;  // levels of a block row; 0 without block scans
  const double zero_bias_;              // shift of the candidates towards zero, in coded values
  float beam_ = 0;                      // excess cost at which a path is dropped

  Costs costs_;                // of the path to each node, infinite where none was kept; the least is near 0
  std::uint32_t reached_ = 1;  // bit by node: a path was kept
  Costs row_costs_{};
  SurvivorContexts contexts_;
  std::size_t bank_ = 0;  // slot of node 0 in the current bank
  ContextModel row_skip_;
  std::uint64_t row_begin_ = 0;
  std::int64_t sign_before_ = 0;  // -1 or 1, the sign of the level before if it is not zero; 0 at the start
  std::vector<std::uint32_t> decisions_;
  std::vector<std::uint16_t> skips_;  // per row, bit by node: the cheapest path there skips the row
};

}  // namespace nnr
