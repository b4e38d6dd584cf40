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
constexpr std::uint64_t kSeamDelay = 512;
constexpr std::uint64_t kShortest = 32;
// Shift of the candidates towards zero, per cost of a bit. Of two values of one parity at equal distance from a weight, the lower
// one takes about 2 bits less, so it may err by as much more.
constexpr double kZeroBiasPerBit = 2.0 / 16.0;
// Intervals grow with the number of weights before them, because fresh contexts change fast.
constexpr std::uint64_t kGrowth = 16;
// Last weights of an interval to which contexts adapt if enough of them are not zero: estimates forget most of what came before.
constexpr std::uint64_t kAdapted = 256;
}  // namespace

bool can_share_contexts(const TensorCoding& coding, bool history_enabled) {
  return coding.dependent && !coding.temporal(history_enabled);
}

SharedSearch::SharedSearch(const OrderedTensor& tensor, double step, const TensorCoding& coding, const RdoSettings& settings,
                           float largest)
    : tensor_(tensor),
      scale_{static_cast<float>(1.0 / step), static_cast<float>(std::min(0.5, kZeroBiasPerBit * settings.lambda))},
      coding_(coding),
      settings_(settings),
      block_row_size_(coding.block_side() * coding.width),
      largest_(Candidates(largest * scale_.inverse_step, 1, 0.0F).lower + 1) {}

std::size_t SharedSearch::blocks() const { return static_cast<std::size_t>((coding_.size() + kBlock - 1) / kBlock); }

std::uint64_t SharedSearch::begin_of(std::size_t block) const { return std::min(block * kBlock, coding_.size()); }

// The search from one weight on.
class SharedSearch::Walk {
 public:
  Walk(const SharedSearch& search, std::uint64_t begin, RateTables rates, Neighbourhood neighbourhood)
      : search_(search),
        begin_(begin),
        end_(begin),
        rates_(std::move(rates)),
        neighbourhood_(neighbourhood),
        magnitudes_(search.largest_) {
    refresh();
  }

  SharedTrellis trellis;

  void advance_to(std::uint64_t end) {
    const std::uint64_t row_size = search_.block_row_size_;
    const auto longest = static_cast<std::uint64_t>(search_.settings_.interval);
    decisions_.resize(end - begin_);
    while (end_ < end) {
      const bool row_begins = row_size != 0 && end_ % row_size == 0;
      if (row_begins && end_ != begin_) restart();
      const std::uint64_t first = end_;
      end_ = std::min(end, first + std::clamp((first - begin_) / kGrowth, kShortest, longest));
      if (row_size != 0) end_ = std::min(end_, first - first % row_size + row_size);
      const float* const importance = search_.tensor_.importance;
      candidates_.compute(search_.tensor_.weights + first, importance != nullptr ? importance + first : nullptr, end_ - first,
                          first == 0 || row_begins, search_.scale_, magnitudes_, rates_);
      trellis.run(candidates_, end_ - first, shared_, &decisions_[first - begin_]);
      adapt(first);
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
      const std::int32_t value =
          node.kind != 0 ? candidate_of(search_.tensor_.weights[n], search_.scale_, state & 1U, parity) : 0;
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
  // Adapts the contexts to the weights from `from` on, along the cheapest path, and computes new rates. Where nonzero values are
  // frequent, the last weights suffice.
  void adapt(std::uint64_t from) {
    const bool skips = is_dense_ && end_ - from > kAdapted;
    if (skips) from = end_ - kAdapted - 1;
    path_.resize(end_ - from);
    trace_back(cheapest(), from, [&](std::uint64_t n, std::int32_t value, std::size_t state) {
      path_[n - from] = {value, static_cast<int>(state)};
    });
    if (skips) neighbourhood_.previous = path_[0].value;
    std::size_t nonzero = 0;
    for (std::size_t i = skips ? 1 : 0; i < path_.size(); ++i) {
      neighbourhood_.state = path_[i].state;
      rates_.adapt(neighbourhood_, path_[i].value);
      nonzero += path_[i].value != 0 ? 1 : 0;
    }
    is_dense_ = nonzero >= path_.size() / 4;
    refresh();
  }

  // Starts a block row: contexts return to their initial state, and the state of the quantiser continues.
  void restart() {
    rates_ = RateTables(search_.coding_, false, search_.settings_.initialisations);
    neighbourhood_ = {};
    refresh();
  }

  void refresh() {
    rates_.refresh(search_.settings_.lambda);
    for (std::uint32_t before = 0; before < 3; ++before)
      for (std::uint32_t negative = 0; negative < 2; ++negative) {
        TransitionRates& rates = shared_[transition_of(before, negative)];
        rates.zero = {rates_.zero[0], rates_.zero[before]};
        for (std::size_t state = 0; state < kTrellisStates; ++state) {
          rates.nonzero[0][state] = rates_.nonzero[0][state] + rates_.sign[0][negative];
          rates.nonzero[1][state] = rates_.nonzero[before][state] + rates_.sign[before][negative];
        }
      }
    magnitudes_.refresh(rates_);
  }

  struct PathValue {
    std::int32_t value;
    int state;  // before the value
  };

  const SharedSearch& search_;
  const std::uint64_t begin_;
  std::uint64_t end_;  // of the paths
  RateTables rates_;
  Neighbourhood neighbourhood_;
  SharedRates shared_{};
  MagnitudeCosts magnitudes_;
  CandidateCosts candidates_;
  std::vector<SharedDecision> decisions_;
  std::vector<PathValue> path_;
  bool is_dense_ = false;  // at least a quarter of the last values were not zero
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
