// SPDX-License-Identifier: Apache-2.0
#include "nnr/rdo.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "nnr/quantizer.hpp"
#include "nnr/scan.hpp"
#include "nnr/survivor_contexts.hpp"
#include "nnr/tables.hpp"

namespace nnr {

namespace {

constexpr float kUnreachable = std::numeric_limits<float>::infinity();

// The state that leads to each state by a value of even or odd parity.
constexpr auto kPreviousState = [] {
  std::array<std::array<std::uint8_t, kTrellisStates>, 2> previous{};
  for (std::uint8_t state = 0; state < kTrellisStates; ++state)
    for (unsigned parity = 0; parity < 2; ++parity) previous[parity][kNextState[state][parity]] = state;
  return previous;
}();

// A tensor's arrays in coding order.
struct OrderedTensor {
  const float* weights = nullptr;
  const float* importance = nullptr;
  const std::int32_t* base = nullptr;
  const std::uint8_t* history = nullptr;
};

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

// Squared steps, and as many bits, by which a path lags when it is given up: a compromise of time and size, found by trial.
constexpr float kBeam = 8.0F;

template <bool kDependent>
class Trellis {
 public:
  Trellis(const OrderedTensor& tensor, double step, const TensorCoding& coding, const RdoSettings& settings)
      : tensor_(tensor),
        inverse_(1.0 / step),
        coding_(coding),
        settings_(settings),
        row_width_(settings.row_skip && coding.has_row_skip_flag() && coding.block_side() == 0 ? coding.width : 0),
        block_row_size_(coding.block_side() * coding.width),
        contexts_(coding, settings.history_enabled, settings.initialisations, settings.lambda, kRowSlot + kNodes) {
    float largest = 1.0F;
    if (tensor.importance != nullptr) largest = std::max(largest, *std::max_element(tensor.importance, tensor.importance + coding.size()));
    beam_ = kBeam * (largest + static_cast<float>(settings.lambda));
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
  static constexpr std::size_t kStates = kDependent ? kTrellisStates : 1;
  // A node is where paths meet: kStates * (whether the level before was not zero) + state.
  static constexpr std::size_t kNodes = 2 * kStates;
  static constexpr std::size_t kParities = kDependent ? 2 : 1;
  // Contexts live in slots: twice as many as nodes, so that paths can fork; behind them those kept since a row began.
  static constexpr std::size_t kRowSlot = 2 * kNodes;
  static constexpr std::uint64_t kRebaseInterval = 64;
  // Candidates of a weight in each quantiser, beside zero: consecutive values from `first`, kPerParity of each parity. The two
  // nearest of a parity suffice, as others cost a whole period of the quantiser in distortion.
  static constexpr std::size_t kPerParity = 2;
  static constexpr std::size_t kCandidates = kParities * kPerParity;

  struct Candidates {
    double scaled = 0;  // magnitude in units in which coded values are the integers
    std::int64_t first = 0;

    Candidates(double x, std::size_t quantiser)
        : scaled(kDependent ? 0.5 * (x + static_cast<double>(quantiser)) : x),
          first(static_cast<std::int64_t>(scaled) - (kDependent ? 1 : 0)) {}
    [[nodiscard]] std::size_t parity(std::size_t i) const {
      return kDependent ? static_cast<std::size_t>(first + static_cast<std::int64_t>(i)) & 1U : 0;
    }
  };

  // A value other than zero that a path could take next, of one parity.
  struct Option {
    float cost = kUnreachable;
    std::uint8_t candidate = 0;
  };

  // How a path goes on: from which node, by which value.
  struct Move {
    std::size_t from = 0;
    std::int64_t magnitude = 0;
  };

  [[nodiscard]] static std::size_t previous_state(std::size_t parity, std::size_t state) {
    return kDependent ? kPreviousState[parity][state] : 0;
  }

  // One weight. A decision holds, for each state s: bit s, whether the cheaper path to zero there comes from a non-zero level;
  // from bit 8 + 3 * s how a non-zero value leads there: whether after a non-zero level, whether it is odd, and which of the
  // two candidates of its parity it is.
  void advance(std::uint64_t n) {
    const double weight = tensor_.weights[n];
    const bool negative = std::signbit(weight);
    const double x = std::abs(weight * inverse_);
    const float importance = tensor_.importance != nullptr ? tensor_.importance[n] : 1.0F;
    Neighbourhood near;
    near.base = tensor_.base != nullptr ? tensor_.base[n] : 0;
    near.history = settings_.history_enabled && tensor_.history != nullptr && tensor_.history[n] != 0;

    std::array<Candidates, 2> candidates{Candidates(x, 0), Candidates(x, 1)};
    std::array<std::array<float, kCandidates>, 2> distortions{};
    for (std::size_t quantiser = 0; quantiser < kParities; ++quantiser)
      for (std::size_t i = 0; i < kCandidates; ++i) {
        const std::int64_t value = candidates[quantiser].first + static_cast<std::int64_t>(i);
        const auto error = static_cast<float>((kDependent ? 2.0 : 1.0) * (candidates[quantiser].scaled - static_cast<double>(value)));
        distortions[quantiser][i] = value < 1 ? kUnreachable : importance * error * error;
      }
    const float zero_distortion = importance * static_cast<float>(x * x);

    std::array<float, kNodes> to_zero;
    std::array<std::array<Option, kParities>, kNodes> options{};
    for (std::size_t node = 0; node < kNodes; ++node) {
      to_zero[node] = kUnreachable;
      if (costs_[node] == kUnreachable) continue;
      const std::size_t slot = slots_[node];
      const std::size_t quantiser = node % kStates & 1U;
      place(near, node);
      to_zero[node] = costs_[node] + contexts_.significance(slot, near, false) + zero_distortion;
      const float nonzero = costs_[node] + contexts_.significance(slot, near, true) + contexts_.sign(slot, near, negative);
      std::array<float, kCandidates> rates{};
      contexts_.magnitudes(slot, near, negative, candidates[quantiser].first, rates);
      for (std::size_t i = 0; i < kCandidates; ++i) {
        Option& option = options[node][candidates[quantiser].parity(i)];
        const float cost = nonzero + rates[i] + distortions[quantiser][i];
        if (cost < option.cost) option = {cost, static_cast<std::uint8_t>(i)};
      }
    }

    Costs next;
    std::array<Move, kNodes> moves;
    std::uint32_t decision = 0;
    for (std::size_t state = 0; state < kStates; ++state) {
      const std::size_t before = previous_state(0, state);
      const bool after_nonzero = to_zero[kStates + before] < to_zero[before];
      next[state] = to_zero[before + (after_nonzero ? kStates : 0)];
      moves[state] = {before + (after_nonzero ? kStates : 0), 0};
      decision |= (after_nonzero ? 1U : 0U) << state;

      float& least = next[kStates + state] = kUnreachable;
      for (std::size_t parity = 0; parity < kParities; ++parity)
        for (std::size_t kind = 0; kind < 2; ++kind) {
          const std::size_t from = kStates * kind + previous_state(parity, state);
          const Option& option = options[from][parity];
          if (!(option.cost < least)) continue;
          least = option.cost;
          moves[kStates + state] = {from, candidates[from % kStates & 1U].first + option.candidate};
          const std::size_t shift = 8 + 3 * state;
          decision = (decision & ~(7U << shift)) |
                     static_cast<std::uint32_t>(kind + 2 * parity + 4 * (option.candidate / kParities)) << shift;
        }
    }
    const float limit = *std::min_element(next.begin(), next.end()) + beam_;
    for (float& cost : next)
      if (cost > limit) cost = kUnreachable;
    costs_ = next;
    if (settings_.adaptive) fork(moves, near, negative);
    decisions_.push_back(decision);
    sign_before_ = negative ? -1 : 1;
  }

  // What the contexts depend on at a node.
  void place(Neighbourhood& near, std::size_t node) const {
    near.previous = node < kStates ? 0 : sign_before_;
    near.state = static_cast<int>(node % kStates);
  }

  // Takes the contexts along the moves. The first path that leaves a node takes over its slot, others get copies.
  void fork(const std::array<Move, kNodes>& moves, Neighbourhood& near, bool negative) {
    std::array<std::uint8_t, kNodes> next{};
    std::uint32_t used = 0;
    std::uint32_t taken = 0;
    for (std::size_t node = 0; node < kNodes; ++node)
      if (costs_[node] != kUnreachable) used |= 1U << slots_[moves[node].from];
    for (std::size_t node = 0; node < kNodes; ++node) {
      if (costs_[node] == kUnreachable) continue;
      const std::uint8_t slot = slots_[moves[node].from];
      if ((taken >> slot & 1U) == 0) {
        taken |= 1U << slot;
        next[node] = slot;
      } else {
        next[node] = static_cast<std::uint8_t>(std::countr_one(used));
        used |= 1U << next[node];
        contexts_.copy(slot, next[node]);
      }
    }
    for (std::size_t node = 0; node < kNodes; ++node) {
      if (costs_[node] == kUnreachable) continue;
      place(near, moves[node].from);
      contexts_.adapt(next[node], near, negative ? -moves[node].magnitude : moves[node].magnitude);
    }
    slots_ = next;
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
      const std::uint32_t how = decision >> (8 + 3 * state) & 7U;
      const std::size_t parity = how >> 1 & 1U;
      const std::size_t from = previous_state(parity, state);
      const double weight = tensor_.weights[n];
      const Candidates candidates(std::abs(weight * inverse_), from & 1U);
      // The first candidate of the parity, or the one a period above it.
      const std::size_t lowest = candidates.parity(0) == parity ? 0 : 1;
      const std::int64_t value = candidates.first + static_cast<std::int64_t>(lowest + kParities * (how >> 2));
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
    if (!settings_.adaptive) return;
    for (std::size_t node = 0; node < kNodes; ++node)
      if (costs_[node] != kUnreachable) contexts_.copy(slots_[node], kRowSlot + node);
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
    std::uint32_t used = 0;
    for (std::size_t node = 0; node < kNodes; ++node)
      if (costs_[node] != kUnreachable) used |= 1U << slots_[node];
    for (std::size_t node = 0; node < kNodes; ++node) {
      const std::size_t from = before_skipped_row(node);
      const float skipped = row_costs_[from] + skipping;
      const float coded = costs_[node] + coding;
      costs_[node] = std::min(skipped, coded);
      if (!(skipped < coded)) continue;
      skips |= 1U << node;
      if (!settings_.adaptive) continue;
      if (coded == kUnreachable) {
        slots_[node] = static_cast<std::uint8_t>(std::countr_one(used));
        used |= 1U << slots_[node];
      }
      contexts_.copy(kRowSlot + from, slots_[node]);
    }
    skips_.push_back(static_cast<std::uint16_t>(skips));
    row_skip_.update((skips >> best() & 1U) != 0);
  }

  // Keeps costs small, where a float still tells hundredths of a bit apart.
  void rebase() {
    const float least = costs_[best()];
    for (Costs* costs : {&costs_, &row_costs_})
      for (float& cost : *costs) cost -= least;
  }

  // A block row starts: contexts start anew, the state goes on, and no level is before the first.
  void restart() {
    for (const std::size_t slot : slots_) contexts_.restart(slot);
    sign_before_ = 0;
  }

  using Costs = std::array<float, kNodes>;

  const OrderedTensor& tensor_;
  const double inverse_;
  const TensorCoding& coding_;
  const RdoSettings& settings_;
  const std::uint64_t row_width_;       // 0 when no row is given up
  const std::uint64_t block_row_size_;  // 0 without block scans
  float beam_ = kBeam;

  Costs costs_;
  Costs row_costs_{};
  SurvivorContexts contexts_;
  std::array<std::uint8_t, kNodes> slots_{};  // of each node that is reached
  ContextModel row_skip_;
  std::uint64_t row_begin_ = 0;
  std::int64_t sign_before_ = 0;  // of the level before where it is not zero
  std::vector<std::uint32_t> decisions_;
  std::vector<std::uint16_t> skips_;  // per row, bit by node: the cheapest way there skips the row
};

template <bool kDependent>
void quantize(const OrderedTensor& tensor, double step, const TensorCoding& coding, const RdoSettings& settings,
              std::int32_t* values) {
  Trellis<kDependent>(tensor, step, coding, settings).run(values);
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
