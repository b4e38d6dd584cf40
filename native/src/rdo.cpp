// SPDX-License-Identifier: Apache-2.0
#include "nnr/rdo.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "nnr/quantizer.hpp"
#include "nnr/rate_tables.hpp"
#include "nnr/scan.hpp"
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

// The cheapest value of one parity (or of any, without dependent quantisation) other than zero.
struct Choice {
  float cost = kUnreachable;
  bool upper = false;  // of its two candidates, the one farther from zero
};

// Where a weight lies between candidates: those of a quantiser and a parity are `lower` and lower + spacing. Lower ones than
// that cost a whole period of the quantiser in distortion; zero is always a candidate of its own.
template <bool kDependent>
struct Position {
  double scaled;        // magnitude in units in which coded values are the integers
  std::int64_t floor;

  Position(double x, int quantiser) : scaled(kDependent ? 0.5 * (x + quantiser) : x), floor(static_cast<std::int64_t>(scaled)) {}

  static constexpr std::int64_t kSpacing = kDependent ? 2 : 1;
  [[nodiscard]] std::int64_t lower(int parity) const { return kDependent ? floor - ((floor ^ parity) & 1) : floor; }
};

template <bool kDependent>
class Trellis {
 public:
  Trellis(const OrderedTensor& tensor, double step, const TensorCoding& coding, const RdoSettings& settings)
      : tensor_(tensor),
        inverse_(1.0 / step),
        coding_(coding),
        settings_(settings),
        rates_(coding, settings.history_enabled, settings.initialisations),
        row_width_(settings.row_skip && coding.has_row_skip_flag() && coding.block_side() == 0 ? coding.width : 0),
        block_row_size_(coding.block_side() * coding.width) {
    decisions_.reserve(coding.size());
    if (row_width_ != 0) skips_.reserve(coding.rows);
    path_.resize(static_cast<std::size_t>(settings.interval + settings.delay) + 1);
    for (auto& costs : costs_) costs.fill(kUnreachable);
    costs_[0][0] = 0;
    rates_.refresh(settings.lambda);
  }

  // Writes coded values of all weights, in coding order.
  void run(std::int32_t* values) {
    const std::uint64_t size = coding_.size();
    std::uint64_t next_update = first_update();
    std::uint64_t row_end = row_width_ != 0 ? row_width_ : size + 1;
    for (std::uint64_t n = 0; n < size;) {
      if (block_row_size_ != 0 && n != 0 && n % block_row_size_ == 0) restart(n);
      if (row_width_ != 0 && n % row_width_ == 0) begin_row();
      advance(n++);
      if (n == row_end) {
        end_row();
        row_end += row_width_;
      }
      if (n == next_update) next_update = update_rates(n);
    }
    walk_back(size, 0, best(), values);
  }

 private:
  static constexpr std::size_t kStates = kDependent ? kTrellisStates : 1;
  using Costs = std::array<std::array<float, kStates>, 2>;  // by whether the level before was not zero, and state

  struct Node {
    std::size_t state = 0;
    std::size_t nonzero = 0;
  };

  std::uint64_t first_update() const {
    return settings_.interval > 0 ? static_cast<std::uint64_t>(settings_.interval) : std::numeric_limits<std::uint64_t>::max();
  }

  // One weight. A decision holds, for each state s: bit s, whether the cheaper way to code zero there comes after a non-zero
  // level; bit 8 + s, likewise for a non-zero value; bit 16 + t, whether the cheaper way to state t by a non-zero value is
  // one of odd parity; and from bit 24 which candidate each quantiser and parity takes.
  void advance(std::uint64_t n) {
    const double weight = tensor_.weights[n];
    const bool negative = std::signbit(weight);
    const double x = std::abs(weight * inverse_);
    const float importance = tensor_.importance != nullptr ? tensor_.importance[n] : 1.0F;
    const std::int64_t base = tensor_.base != nullptr ? tensor_.base[n] : 0;
    const bool in_history = settings_.history_enabled && tensor_.history != nullptr && tensor_.history[n] != 0;

    std::array<Choice, 4> choices;  // by 2 * quantiser + parity
    std::uint32_t decision = 0;
    for (int quantiser = 0; quantiser < (kDependent ? 2 : 1); ++quantiser) {
      const Position<kDependent> position(x, quantiser);
      for (int parity = 0; parity < (kDependent ? 2 : 1); ++parity) {
        const auto set = static_cast<std::size_t>(2 * quantiser + parity);
        choices[set] = choose(position, position.lower(parity), importance, negative, base);
        decision |= (choices[set].upper ? 1U : 0U) << (24 + set);
      }
    }
    const float zero_distortion = importance * static_cast<float>(x * x);

    using Kind = RateTables::Kind;
    const Kind kind_of_base = in_history ? Kind::kHistory : base == 0 ? Kind::kKinds : std::abs(base) > 1 ? Kind::kLargeBase : Kind::kSmallBase;
    const std::array<Kind, 2> kinds = kind_of_base != Kind::kKinds ? std::array{kind_of_base, kind_of_base}
                                                                   : std::array{Kind::kAfterZero, kind_after_nonzero_};
    std::array<float, 2> sign_cost;
    for (std::size_t p = 0; p < 2; ++p) {
      const std::size_t kind = base != 0 ? Kind::kSmallBase + (base > 0 ? 1U : 0U) : p == 0 ? Kind::kAfterZero : static_cast<std::size_t>(kind_after_nonzero_);
      sign_cost[p] = rates_.sign[kind][negative ? 1 : 0];
    }

    std::array<float, kStates> to_zero;
    std::array<float, kStates> to_nonzero;
    const auto& zero0 = rates_.zero[kinds[0]];
    const auto& zero1 = rates_.zero[kinds[1]];
    const auto& nonzero0 = rates_.nonzero[kinds[0]];
    const auto& nonzero1 = rates_.nonzero[kinds[1]];
    for (std::size_t s = 0; s < kStates; ++s) {
      const float zero_after_zero = costs_[0][s] + zero0[s];
      const float zero_after_nonzero = costs_[1][s] + zero1[s];
      const float nonzero_after_zero = costs_[0][s] + nonzero0[s] + sign_cost[0];
      const float nonzero_after_nonzero = costs_[1][s] + nonzero1[s] + sign_cost[1];
      to_zero[s] = std::min(zero_after_zero, zero_after_nonzero) + zero_distortion;
      to_nonzero[s] = std::min(nonzero_after_zero, nonzero_after_nonzero);
      decision |= (zero_after_nonzero < zero_after_zero ? 1U : 0U) << s;
      decision |= (nonzero_after_nonzero < nonzero_after_zero ? 1U : 0U) << (8 + s);
    }
    if constexpr (kDependent) {
      for (std::size_t t = 0; t < kStates; ++t) {
        const std::size_t even = kPreviousState[0][t];
        const std::size_t odd = kPreviousState[1][t];
        const float via_even = to_nonzero[even] + choices[2 * (even & 1)].cost;
        const float via_odd = to_nonzero[odd] + choices[2 * (odd & 1) + 1].cost;
        costs_[0][t] = to_zero[even];
        costs_[1][t] = std::min(via_even, via_odd);
        decision |= (via_odd < via_even ? 1U : 0U) << (16 + t);
      }
    } else {
      costs_[0][0] = to_zero[0];
      costs_[1][0] = to_nonzero[0] + choices[0].cost;
    }
    decisions_.push_back(decision);
    kind_after_nonzero_ = negative ? Kind::kAfterNegative : Kind::kAfterPositive;
  }

  Choice choose(const Position<kDependent>& position, std::int64_t lower, float importance, bool negative, std::int64_t base) const {
    const auto cost = [&](std::int64_t q) {
      const auto error = static_cast<float>(kDependent ? 2.0 * (position.scaled - static_cast<double>(q))
                                                       : position.scaled - static_cast<double>(q));
      return importance * error * error + rates_.magnitude(q, negative, base);
    };
    const float upper_cost = cost(lower + Position<kDependent>::kSpacing);
    if (lower < 1) return {upper_cost, true};
    const float lower_cost = cost(lower);
    return upper_cost < lower_cost ? Choice{upper_cost, true} : Choice{lower_cost, false};
  }

  [[nodiscard]] Node best() const {
    Node node;
    for (std::size_t p = 0; p < 2; ++p)
      for (std::size_t s = 0; s < kStates; ++s)
        if (costs_[p][s] < costs_[node.nonzero][node.state]) node = {s, p};
    return node;
  }

  // Writes to values[i - begin] the coded value of weight i, for i from end - 1 down to begin, of the path that ends in `node`.
  // A value of a row given up is kSkipped when asked for, otherwise 0.
  static constexpr std::int32_t kSkipped = std::numeric_limits<std::int32_t>::min();
  // Returns the path's state at `begin`.
  std::size_t walk_back(std::uint64_t end, std::uint64_t begin, Node node, std::int32_t* values, std::int32_t skipped_value = 0) const {
    std::uint64_t n = end;
    while (n > begin) {
      if (row_width_ != 0 && n % row_width_ == 0 && (skips_[n / row_width_ - 1] >> (8 * node.nonzero + node.state) & 1U) != 0) {
        const std::uint64_t row = n - row_width_;
        std::fill(values + (std::max(row, begin) - begin), values + (n - begin), skipped_value);
        node.state = over_skipped_row(node.state, kPreviousState[0]);
        n = row;
        continue;
      }
      const std::uint32_t decision = decisions_[--n];
      if (node.nonzero == 0) {
        values[n - begin] = 0;
        if constexpr (kDependent) node.state = kPreviousState[0][node.state];
        node.nonzero = decision >> node.state & 1U;
        continue;
      }
      int parity = 0;
      if constexpr (kDependent) {
        parity = static_cast<int>(decision >> (16 + node.state) & 1U);
        node.state = kPreviousState[static_cast<std::size_t>(parity)][node.state];
      }
      const auto quantiser = static_cast<int>(node.state & 1);
      const double weight = tensor_.weights[n];
      const std::int64_t lower = Position<kDependent>(std::abs(weight * inverse_), quantiser).lower(parity);
      const bool upper = (decision >> (24 + 2 * quantiser + parity) & 1U) != 0;
      const std::int64_t value = lower + (upper ? Position<kDependent>::kSpacing : 0);
      values[n - begin] = static_cast<std::int32_t>(std::signbit(weight) ? -value : value);
      node.nonzero = decision >> (8 + node.state) & 1U;
    }
    if constexpr (kDependent)  // a row given up may reach beyond `begin`
      for (; n < begin; ++n) node.state = kNextState[node.state][0];
    return node.state;
  }

  // The state on the other side of a row given up, by a table of moves over one zero.
  template <class Table>
  [[nodiscard]] std::size_t over_skipped_row(std::size_t state, const Table& moves) const {
    if constexpr (kDependent)
      // Zeros walk a state through a cycle whose length divides 4.
      for (std::uint64_t i = 0; i < row_width_ % 4; ++i) state = moves[state];
    return state;
  }

  void begin_row() {
    row_costs_ = costs_;
    row_begin_ = decisions_.size();
  }

  // At the end of a row, each survivor may be replaced by the one that stood in its place before the row and skips it.
  void end_row() {
    double energy = 0;
    for (std::uint64_t n = row_begin_; n < decisions_.size(); ++n) {
      const double x = tensor_.weights[n] * inverse_;
      energy += (tensor_.importance != nullptr ? tensor_.importance[n] : 1.0F) * x * x;
    }
    const float skipping = static_cast<float>(energy) + rates_.row_skip(true);
    const float coding = rates_.row_skip(false);
    unsigned skips = 0;
    for (std::size_t p = 0; p < 2; ++p)
      for (std::size_t s = 0; s < kStates; ++s) {
        // The costs since the row began are measured from row_costs_, so nothing may be taken off them within a row.
        const float skipped = row_costs_[p][over_skipped_row(s, kPreviousState[0])] + skipping;
        const float coded = costs_[p][s] + coding;
        if (skipped < coded) skips |= 1U << (8 * p + s);
        costs_[p][s] = std::min(skipped, coded);
      }
    skips_.push_back(static_cast<std::uint16_t>(skips));
    const Node node = best();
    rates_.adapt_row_skip((skips >> (8 * node.nonzero + node.state) & 1U) != 0);
  }

  // Adapts the contexts along the cheapest survivor, up to `delay` weights before n, and makes new tables.
  std::uint64_t update_rates(std::uint64_t n) {
    const auto interval = static_cast<std::uint64_t>(settings_.interval);
    const std::uint64_t until = std::max(adapted_, n - std::min(n / 2, static_cast<std::uint64_t>(settings_.delay)));
    near_.state = static_cast<int>(walk_back(n, adapted_, best(), path_.data(), kSkipped));
    for (std::uint64_t i = adapted_; i < until; ++i) adapt(i, path_[i - adapted_]);
    adapted_ = until;
    rates_.refresh(settings_.lambda);
    rebase();
    return n + interval;
  }

  void adapt(std::uint64_t i, std::int32_t value) {
    if (value == kSkipped) {
      if constexpr (kDependent) near_.state = kNextState[near_.state][0];
      return;
    }
    near_.base = tensor_.base != nullptr ? tensor_.base[i] : 0;
    near_.history = settings_.history_enabled && tensor_.history != nullptr && tensor_.history[i] != 0;
    rates_.adapt(near_, value);
  }

  // Keeps costs small, where a float still tells hundredths of a bit apart.
  void rebase() {
    const Node node = best();
    const float least = costs_[node.nonzero][node.state];
    for (auto* costs : {&costs_, &row_costs_})
      for (auto& by_state : *costs)
        for (float& cost : by_state) cost -= least;
  }

  // A block row starts: contexts start anew, the state goes on, and no level is before the first.
  void restart(std::uint64_t n) {
    rates_.reset();
    rates_.refresh(settings_.lambda);
    near_ = {};
    adapted_ = n;
    kind_after_nonzero_ = RateTables::kAfterZero;
  }

  const OrderedTensor& tensor_;
  const double inverse_;
  const TensorCoding& coding_;
  const RdoSettings& settings_;
  RateTables rates_;
  const std::uint64_t row_width_;       // 0 when no row is given up
  const std::uint64_t block_row_size_;  // 0 without block scans

  Costs costs_;
  Costs row_costs_{};
  std::uint64_t row_begin_ = 0;
  RateTables::Kind kind_after_nonzero_ = RateTables::kAfterZero;  // the sign a non-zero level before would have
  std::vector<std::uint32_t> decisions_;
  std::vector<std::uint16_t> skips_;  // per row, bit 8 * nonzero + state: the cheapest way there skips the row

  std::vector<std::int32_t> path_;
  Neighbourhood near_;
  std::uint64_t adapted_ = 0;  // weights the contexts have seen
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
