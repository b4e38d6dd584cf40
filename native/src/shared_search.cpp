// SPDX-License-Identifier: Apache-2.0
#include "nnr/shared_search.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

namespace nnr {

namespace {

constexpr std::uint64_t kBlock = std::uint64_t{1} << 18;
// Weights before a block along which its contexts adapt.
constexpr std::uint64_t kWarmUp = 4096;
// Distance behind the last weight from which nearly all paths agree.
constexpr std::uint64_t kDelay = 32;
constexpr std::uint64_t kSeamDelay = 512;
constexpr std::size_t kMostTabulated = 128;
// Shift of the candidates towards zero, per cost of a bit. Of two values of one parity at equal distance from a weight, the lower
// one takes about 2 bits less, so it may err by as much more.
constexpr double kZeroBiasPerBit = 2.0 / 16.0;
// Distance between neighbouring levels of a quantiser, in steps.
constexpr double kSpacing = 2.0;

// The two values next to a weight in one quantiser. One is even and one is odd.
struct Candidates {
  double scaled;       // magnitude of the weight in units of coded values
  std::int32_t lower;  // the smaller candidate; the other one is lower + 1

  Candidates(double x, std::size_t quantizer, double zero_bias)
      : scaled((x + static_cast<double>(quantizer)) / kSpacing),
        lower(static_cast<std::int32_t>(std::max(scaled - zero_bias, 0.0))) {}

  [[nodiscard]] std::int32_t value(std::size_t parity) const {
    return lower + static_cast<std::int32_t>((static_cast<std::size_t>(lower) ^ parity) & 1U);
  }
};

}  // namespace

bool can_share_contexts(const TensorCoding& coding, bool history_enabled) {
  return coding.dependent && !coding.temporal(history_enabled);
}

SharedSearch::SharedSearch(const OrderedTensor& tensor, double step, const TensorCoding& coding, const RdoSettings& settings,
                           float largest)
    : tensor_(tensor),
      inverse_(1.0 / step),
      coding_(coding),
      settings_(settings),
      zero_bias_(std::min(0.5, kZeroBiasPerBit * settings.lambda)),
      block_row_size_(coding.block_side() * coding.width),
      tabulated_(std::min(static_cast<std::size_t>(Candidates(largest * inverse_, 1, 0.0).lower) + 2, kMostTabulated)) {}

std::size_t SharedSearch::blocks() const { return static_cast<std::size_t>((coding_.size() + kBlock - 1) / kBlock); }

std::uint64_t SharedSearch::begin_of(std::size_t block) const { return std::min(block * kBlock, coding_.size()); }

// The search from one weight on.
class SharedSearch::Walk {
 public:
  Walk(const SharedSearch& search, std::uint64_t begin, RateTables rates, Neighbourhood neighbourhood)
      : search_(search), begin_(begin), end_(begin), adapted_(begin), rates_(std::move(rates)), neighbourhood_(neighbourhood) {
    for (auto& of_sign : magnitudes_) of_sign.resize(search.tabulated_, kUnreachableCost);
    refresh();
  }

  SharedTrellis trellis;

  void advance_to(std::uint64_t end) {
    const std::uint64_t row_size = search_.block_row_size_;
    const auto interval = static_cast<std::uint64_t>(search_.settings_.interval);
    decisions_.resize(end - begin_);
    weights_.resize(interval);
    while (end_ < end) {
      if (row_size != 0 && end_ % row_size == 0 && end_ != begin_) restart();
      std::uint64_t stop = std::min(end, end_ - end_ % interval + interval);
      if (row_size != 0) stop = std::min(stop, end_ - end_ % row_size + row_size);
      const std::uint64_t first = end_;
      prepare(first, stop);
      trellis.run(weights_.data(), stop - first, shared_, &decisions_[first - begin_]);
      end_ = stop;
      adapt();
    }
  }

  [[nodiscard]] TrellisNode cheapest() const {
    TrellisNode best;
    for (std::size_t kind = 0; kind < 2; ++kind)
      for (std::size_t state = 0; state < kTrellisStates; ++state)
        if (trellis.costs[kind][state] < trellis.costs[best.kind][best.state]) best = {kind, state};
    return best;
  }

  // Follows a path back from a node at the end to a weight, and returns the node before it. Calls visit(n, value, state before).
  template <class Visit>
  TrellisNode trace_back(TrellisNode node, std::uint64_t to, Visit&& visit) const {
    for (std::uint64_t n = end_; n-- > to;) {
      const auto [kind, state, parity] = SharedTrellis::step_back(decisions_[n - begin_], node.kind, node.state);
      std::int32_t value = 0;
      if (node.kind != 0) {
        const double weight = search_.tensor_.weights[n];
        value = Candidates(std::abs(weight * search_.inverse_), state & 1U, search_.zero_bias_).value(parity);
        if (std::signbit(weight)) value = -value;
      }
      visit(n, value, state);
      node = {kind, state};
    }
    return node;
  }

  // Adapts the contexts to all weights before `to`, along the path that is cheapest now, and returns the start of a block there.
  [[nodiscard]] Start start_at(std::uint64_t to) {
    const TrellisNode node = trace_back(cheapest(), to, [](std::uint64_t, std::int32_t, std::size_t) {});
    return {node, rates_, neighbourhood_};
  }

 private:
  // Computes the costs of the values next to each weight.
  void prepare(std::uint64_t begin, std::uint64_t end) {
    const OrderedTensor& tensor = search_.tensor_;
    const auto class_of = [](float weight) { return std::signbit(weight) ? 1U : 2U; };
    const bool restarted = search_.block_row_size_ != 0 && begin % search_.block_row_size_ == 0;
    std::uint32_t class_before = begin == 0 || restarted ? 0 : class_of(tensor.weights[begin - 1]);
    for (std::uint64_t n = begin; n < end; ++n) {
      const float weight = tensor.weights[n];
      const double x = std::abs(weight * search_.inverse_);
      const bool negative = std::signbit(weight);
      const float importance = tensor.importance != nullptr ? tensor.importance[n] : 1.0F;
      WeightCosts& costs = weights_[n - begin];
      costs.zero = importance * static_cast<float>(x * x);
      costs.transition = transition_of(class_before, negative);
      class_before = class_of(weight);
      const std::vector<float>& magnitudes = magnitudes_[negative ? 1 : 0];
      for (std::size_t quantizer = 0; quantizer < 2; ++quantizer) {
        const auto [scaled, lower] = Candidates(x, quantizer, search_.zero_bias_);
        const auto error = static_cast<float>(kSpacing * (scaled - static_cast<double>(lower)));
        const float upper_error = error - static_cast<float>(kSpacing);
        const auto place = static_cast<std::size_t>(lower);
        float lower_rate;
        float upper_rate;
        if (place + 1 < magnitudes.size()) [[likely]] {
          lower_rate = magnitudes[place];
          upper_rate = magnitudes[place + 1];
        } else {
          lower_rate = lower == 0 ? kUnreachableCost : rates_.magnitude(lower, negative);
          upper_rate = rates_.magnitude(lower + 1, negative);
        }
        const std::size_t odd = place & 1U;
        costs.nonzero[2 * odd + quantizer] = importance * error * error + lower_rate;
        costs.nonzero[2 * (odd ^ 1U) + quantizer] = importance * upper_error * upper_error + upper_rate;
      }
    }
  }

  // Adapts the contexts along the cheapest path up to where nearly all paths agree, and computes new rates.
  void adapt() {
    if (end_ < adapted_ + 2 * kDelay) return;
    const std::uint64_t to = end_ - kDelay;
    path_.resize(end_ - adapted_);
    trace_back(cheapest(), adapted_, [this](std::uint64_t n, std::int32_t value, std::size_t state) {
      path_[n - adapted_] = {value, static_cast<std::int32_t>(state)};
    });
    for (const auto& [value, state] : std::span(path_).first(to - adapted_)) {
      neighbourhood_.state = state;
      rates_.adapt(neighbourhood_, value);
    }
    adapted_ = to;
    refresh();
  }

  // Starts a block row: contexts return to their initial state, and the state of the quantiser continues.
  void restart() {
    rates_ = RateTables(search_.coding_, false, search_.settings_.initialisations);
    neighbourhood_ = {};
    adapted_ = end_;
    refresh();
  }

  void refresh() {
    rates_.refresh(search_.settings_.lambda);
    for (std::uint32_t before = 0; before < 3; ++before)
      for (std::size_t negative = 0; negative < 2; ++negative) {
        TransitionRates& rates = shared_[transition_of(before, negative != 0)];
        rates.zero = {rates_.zero[0], rates_.zero[before]};
        for (std::size_t state = 0; state < kTrellisStates; ++state) {
          rates.nonzero[0][state] = rates_.nonzero[0][state] + rates_.sign[0][negative];
          rates.nonzero[1][state] = rates_.nonzero[before][state] + rates_.sign[before][negative];
        }
      }
    for (std::size_t negative = 0; negative < 2; ++negative)
      for (std::size_t magnitude = 1; magnitude < magnitudes_[negative].size(); ++magnitude)
        magnitudes_[negative][magnitude] = rates_.magnitude(static_cast<std::int64_t>(magnitude), negative != 0);
  }

  struct PathValue {
    std::int32_t value;
    std::int32_t state;
  };

  const SharedSearch& search_;
  const std::uint64_t begin_;
  std::uint64_t end_;      // weights the paths cover
  std::uint64_t adapted_;  // weights the contexts have adapted to
  RateTables rates_;
  Neighbourhood neighbourhood_;
  SharedRates shared_{};
  std::array<std::vector<float>, 2> magnitudes_;  // by sign, then magnitude; a nonzero value has no magnitude 0
  std::vector<WeightCosts> weights_;
  std::vector<SharedDecision> decisions_;
  std::vector<PathValue> path_;
};

SharedSearch::Start SharedSearch::start_of(std::size_t block) const {
  RateTables initial(coding_, false, settings_.initialisations);
  if (block == 0) return {{}, std::move(initial), {}};
  const std::uint64_t begin = begin_of(block);
  Walk walk(*this, begin - kWarmUp, std::move(initial), {});
  walk.trellis.start_anywhere();
  walk.advance_to(std::min(begin + kSeamDelay, coding_.size()));
  return walk.start_at(begin);
}

void SharedSearch::run(std::size_t block, const Start& start, const Start* after, std::int32_t* values) const {
  const std::uint64_t begin = begin_of(block);
  Walk walk(*this, begin, start.rates, start.neighbourhood);
  walk.trellis.start(start.node.kind, start.node.state);
  walk.advance_to(begin_of(block + 1));
  walk.trace_back(after != nullptr ? after->node : walk.cheapest(), begin,
                  [values](std::uint64_t n, std::int32_t value, std::size_t) { values[n] = value; });
}

}  // namespace nnr
