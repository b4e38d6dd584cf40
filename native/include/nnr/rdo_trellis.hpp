// SPDX-License-Identifier: Apache-2.0
// The Viterbi search of rate-distortion optimised quantisation: paths meet in nodes, and each takes its contexts along.
// Clause: format 5.2 to 5.5.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "nnr/inline.hpp"
#include "nnr/rdo.hpp"
#include "nnr/survivor_contexts.hpp"
#include "nnr/tables.hpp"

namespace nnr {

// A tensor's arrays in coding order.
struct OrderedTensor {
  const float* weights = nullptr;
  const float* importance = nullptr;
  const std::int32_t* base = nullptr;
  const std::uint8_t* history = nullptr;
};

// The state that leads to each state by a value of even or odd parity.
inline constexpr auto kPreviousState = [] {
  std::array<std::array<std::uint8_t, kTrellisStates>, 2> previous{};
  for (std::uint8_t state = 0; state < kTrellisStates; ++state)
    for (unsigned parity = 0; parity < 2; ++parity) previous[parity][kNextState[state][parity]] = state;
  return previous;
}();

template <bool kDependent>
class RdoTrellis {
 public:
  RdoTrellis(const OrderedTensor& tensor, double step, const TensorCoding& coding, const RdoSettings& settings)
      : tensor_(tensor),
        inverse_(1.0 / step),
        coding_(coding),
        settings_(settings),
        row_width_(settings.row_skip && coding.has_row_skip_flag() && coding.block_side() == 0 ? coding.width : 0),
        block_row_size_(coding.block_side() * coding.width),
        lean_(std::min(0.5, kLeanPerBit * settings.lambda)),
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

  // Writes coded values of all weights, in coding order.
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
    }
    walk_back(size, values);
  }

 private:
  static constexpr float kUnreachable = std::numeric_limits<float>::infinity();
  static constexpr std::size_t kStates = kDependent ? kTrellisStates : 1;
  // A node is where paths meet: kStates * (whether the level before was not zero) + state.
  static constexpr std::size_t kNodes = 2 * kStates;
  // Contexts live in slots: one of each node before a weight and one behind it, in two banks that change places, and further
  // back those kept since a row began.
  static constexpr std::size_t kRowSlot = 2 * kNodes;
  static constexpr std::uint64_t kRebaseInterval = 64;
  // Distance between neighbouring values of a quantiser, in steps.
  static constexpr double kSpacing = kDependent ? 2.0 : 1.0;
  // How far the choice of candidates leans towards zero per cost of a bit: of two values of a parity, as far from a weight on
  // either side, the lower one takes about 2 bits less and may err by as much more.
  static constexpr double kLeanPerBit = kDependent ? 2.0 / 16.0 : 0.0;

  // The two values next to a weight in one quantiser, beside zero. One is even and one is odd: others of a parity cost a whole
  // period of the quantiser in distortion.
  struct Candidates {
    double scaled = 0;  // magnitude in units in which coded values are the integers
    std::int64_t first = 0;

    Candidates(double x, std::size_t quantiser, double lean)
        : scaled((x + static_cast<double>(quantiser)) / kSpacing),
          first(static_cast<std::int64_t>(std::max(scaled - lean, 0.0))) {}

    // What tells them apart: parity, in the scalar quantiser order. Its own inverse, but for `first`.
    [[nodiscard]] std::size_t choice(std::size_t i) const { return kDependent ? static_cast<std::size_t>(first & 1) ^ i : i; }
    [[nodiscard]] std::int64_t value(std::size_t chosen) const { return first + static_cast<std::int64_t>(choice(chosen)); }
  };

  // How the cheapest path to a node arrives there, in one number, so that the least is found without a branch: the bits of its
  // cost, which are ordered as costs that are not negative are, above the choice and the node it comes from.
  class Arrival {
   public:
    Arrival() = default;
    Arrival(float cost, std::size_t from, std::size_t choice)
        : packed_(std::uint64_t{std::bit_cast<std::uint32_t>(cost)} << 32 | choice << 4 | from) {}
    void improve(const Arrival& other) { packed_ = std::min(packed_, other.packed_); }
    [[nodiscard]] float cost() const { return std::bit_cast<float>(static_cast<std::uint32_t>(packed_ >> 32)); }
    [[nodiscard]] std::size_t from() const { return packed_ & 15U; }
    [[nodiscard]] std::size_t choice() const { return packed_ >> 4 & 1U; }

   private:
    std::uint64_t packed_ = std::uint64_t{std::bit_cast<std::uint32_t>(kUnreachable)} << 32;
  };

  [[nodiscard]] static std::size_t next_state(std::size_t state, std::size_t parity) {
    return kDependent ? kNextState[state][parity] : 0;
  }
  [[nodiscard]] static std::size_t previous_state(std::size_t parity, std::size_t state) {
    return kDependent ? kPreviousState[parity][state] : 0;
  }
  // Calls visit(node) for each set bit.
  template <class Visit>
  static void for_each(std::uint32_t nodes, Visit&& visit) {
    for (; nodes != 0; nodes &= nodes - 1) visit(static_cast<std::size_t>(std::countr_zero(nodes)));
  }

  [[nodiscard]] std::int64_t largest_value() const {
    float largest = 0;
    for (std::uint64_t n = 0; n < coding_.size(); ++n) largest = std::max(largest, std::abs(tensor_.weights[n]));
    return Candidates(largest * inverse_, 1, 0.0).first + 1;
  }

  // One weight. A decision holds, for each state s: bit s, whether the cheaper path to zero there comes from a non-zero level;
  // from bit kStates + 2 * s how a non-zero value leads there: whether after a non-zero level, and which candidate it is.
  void advance(std::uint64_t n) {
    const float weight = tensor_.weights[n];
    const bool negative = std::signbit(weight);
    const double x = std::abs(weight * inverse_);
    const float importance = tensor_.importance != nullptr ? tensor_.importance[n] : 1.0F;
    Neighbourhood near;
    near.base = tensor_.base != nullptr ? tensor_.base[n] : 0;
    near.history = settings_.history_enabled && tensor_.history != nullptr && tensor_.history[n] != 0;

    const std::array<Candidates, 2> candidates{Candidates(x, 0, lean_), Candidates(x, kDependent ? 1 : 0, lean_)};
    std::array<std::array<float, 2>, 2> distortions;
    std::array<float, 2> least_distortion;
    for (std::size_t quantiser = 0; quantiser < 2; ++quantiser) {
      const auto& [scaled, first] = candidates[quantiser];
      const auto error = static_cast<float>(kSpacing * (scaled - static_cast<double>(first)));
      const float other = error - static_cast<float>(kSpacing);
      distortions[quantiser] = {first < 1 ? kUnreachable : importance * error * error, importance * other * other};
      least_distortion[quantiser] = std::min(distortions[quantiser][0], distortions[quantiser][1]);
    }
    const float zero_distortion = importance * static_cast<float>(x * x);

    // Contexts of significance and sign, by whether the level before was not zero; the former also move on with the state.
    std::array<int, 2> significance{near.significance(), 0};
    std::array<int, 2> sign{near.sign(), 0};
    near.previous = sign_before_;
    significance[1] = near.significance();
    sign[1] = near.sign();
    near.state = 1;
    const int stride = near.significance() - significance[1];

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
      next[next_state(state, 0)].improve({zero, node, 0});
    });
    for_each(reached_, [&](std::size_t node) {
      const std::size_t state = node % kStates;
      const std::size_t quantiser = state & 1U;
      if (!(nonzero[node] + least_distortion[quantiser] <= least + beam_)) return;
      std::array<float, 2> rates{};
      contexts_.magnitudes(bank_ + node, near, negative, candidates[quantiser].first, rates);
      for (std::size_t i = 0; i < 2; ++i) {
        const float cost = nonzero[node] + rates[i] + distortions[quantiser][i];
        least = std::min(least, cost);
        const std::size_t choice = candidates[quantiser].choice(i);
        next[kStates + next_state(state, choice)].improve({cost, node, choice});
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
      near.previous = after_nonzero != 0 ? sign_before_ : 0;
      near.state = static_cast<int>(from % kStates);
      const std::int64_t value = node < kStates ? 0 : candidates[from & 1U].value(arrival.choice());
      contexts_.adapt(bank_ + node, near, negative ? -value : value);
    });
    decisions_.push_back(decision);
    sign_before_ = negative ? -1 : 1;
  }

  [[nodiscard]] std::size_t best() const {
    return static_cast<std::size_t>(std::min_element(costs_.begin(), costs_.end()) - costs_.begin());
  }

  // Writes the coded values of the cheapest path.
  void walk_back(std::uint64_t end, std::int32_t* values) const {
    std::size_t node = best();
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
        node = previous_state(0, state) + ((decision >> state & 1U) != 0 ? kStates : 0);
        continue;
      }
      const std::uint32_t how = decision >> (kStates + 2 * state) & 3U;
      const std::size_t choice = how >> 1;
      const std::size_t from = previous_state(choice, state);
      const double weight = tensor_.weights[n];
      const std::int64_t value = Candidates(std::abs(weight * inverse_), from & 1U, lean_).value(choice);
      values[n] = static_cast<std::int32_t>(std::signbit(weight) ? -value : value);
      node = from + ((how & 1U) != 0 ? kStates : 0);
    }
  }

  // The node on the other side of a row given up: the level before stays what it was.
  [[nodiscard]] std::size_t before_skipped_row(std::size_t node) const {
    std::size_t state = node % kStates;
    // Zeros walk a state through a cycle whose length divides 4.
    for (std::uint64_t i = 0; i < row_width_ % 4; ++i) state = previous_state(0, state);
    return node - node % kStates + state;
  }

  void begin_row() {
    row_costs_ = costs_;
    row_begin_ = decisions_.size();
    for_each(reached_, [&](std::size_t node) { contexts_.copy(bank_ + node, kRowSlot + node); });
  }

  // At the end of a row, each survivor may be replaced by the one that stood in its place before the row and skips it.
  void end_row() {
    double energy = 0;
    for (std::uint64_t n = row_begin_; n < decisions_.size(); ++n) {
      const double x = tensor_.weights[n] * inverse_;
      energy += (tensor_.importance != nullptr ? tensor_.importance[n] : 1.0F) * x * x;
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
    row_skip_.update((skips >> best() & 1U) != 0);
    rebase();
  }

  // Keeps costs small, where a float still tells hundredths of a bit apart.
  void rebase() {
    const float least = costs_[best()];
    for (Costs* costs : {&costs_, &row_costs_})
      for (float& cost : *costs) cost -= least;
  }

  // A block row starts: contexts start anew, the state goes on, and no level is before the first.
  void restart() {
    for_each(reached_, [&](std::size_t node) { contexts_.restart(bank_ + node); });
    sign_before_ = 0;
  }

  using Costs = std::array<float, kNodes>;

  const OrderedTensor& tensor_;
  const double inverse_;
  const TensorCoding& coding_;
  const RdoSettings& settings_;
  const std::uint64_t row_width_;       // 0 when no row is given up
  const std::uint64_t block_row_size_;  // 0 without block scans
  const double lean_;                   // towards zero, of the choice of candidates
  float beam_ = 0;                      // cost by which a path lags when it is given up

  Costs costs_;                // of the paths to the nodes, infinite where none was kept; the least is near 0
  std::uint32_t reached_ = 1;  // bit by node: a path was kept
  Costs row_costs_{};
  SurvivorContexts contexts_;
  std::size_t bank_ = 0;  // slot of node 0
  ContextModel row_skip_;
  std::uint64_t row_begin_ = 0;
  std::int64_t sign_before_ = 0;  // of the level before where it is not zero
  std::vector<std::uint32_t> decisions_;
  std::vector<std::uint16_t> skips_;  // per row, bit by node: the cheapest way there skips the row
};

}  // namespace nnr
