// SPDX-License-Identifier: Apache-2.0
// Exhaustive search for the cheapest initialisation of every context. Bins do not depend on initialisations, so one pass over the
// levels collects the bins of all contexts, and each context runs its nine models over its own bins.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "nnr/bin_run.hpp"
#include "nnr/initialisation_costs.hpp"
#include "nnr/inline.hpp"
#include "nnr/payload.hpp"
#include "nnr/rate.hpp"
#include "nnr/tensor_encoder.hpp"

namespace nnr {

namespace {

// A Sink that collects bins by context, and codes them from every initialisation in batches.
class TrialSink {
 public:
  explicit TrialSink(int context_count) : trials_(static_cast<std::size_t>(context_count)), counts_(trials_.size()) {}

  void put_run(std::span<const BinEntry> run) {
    // Local copies, because the stores of bytes in add() may alias the members.
    Trial* const trials = trials_.data();
    std::uint32_t* const counts = counts_.data();
    for_each_bin(
        run, [&, trials, counts](std::size_t context, std::size_t bin) { add(trials[context], counts[context], context, bin); },
        [](std::uint32_t, int) {});
  }
  void regular(int context, bool bin) {
    const auto index = static_cast<std::size_t>(context);
    add(trials_[index], counts_[index], index, bin ? 1 : 0);
  }
  void bypass(bool) {}
  void bypass_bins(std::uint32_t, int) {}
  void restart_range() {}
  void initialise(int, int) {}
  // Contexts return to their initial states; costs accumulate.
  void reset_contexts() {
    run_all();
    for (Trial& trial : trials_)
      if (trial.used) trial.costs.restart();
  }

  // Codes all pending bins, in pairs of contexts with similar counts.
  void run_all() {
    std::vector<std::size_t> order;
    for (std::size_t context = 0; context < trials_.size(); ++context)
      if (counts_[context] > 0) order.push_back(context);
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return counts_[a] > counts_[b]; });
    for (std::size_t i = 1; i < order.size(); i += 2) run_both(order[i - 1], order[i], counts_[order[i]]);
    for (const std::size_t context : order) run(context);
  }

  // After run_all(): whether a context had bins, and their cost from initialisation i, if those after the first ones stand for
  // `scale` times as many.
  [[nodiscard]] bool used(int context) const { return trials_[static_cast<std::size_t>(context)].used; }
  [[nodiscard]] std::uint64_t cost(int context, std::size_t i, double scale) const {
    const Trial& trial = trials_[static_cast<std::size_t>(context)];
    const auto rest = static_cast<double>(trial.costs.cost[i] - trial.first_cost[i]);
    return trial.first_cost[i] + static_cast<std::uint64_t>(scale * rest);
  }

 private:
  static constexpr std::size_t kBatch = 256;
  static_assert(2 * kBatch <= InitialisationCosts::kMaxBins);
  static constexpr std::size_t kNone = SIZE_MAX;

  struct Trial {
    Trial() {}  // leaves `bins` uninitialised: setting them takes longer than coding a small tensor
    std::array<std::uint8_t, 2 * kBatch> bins;  // the first counts_[context] of them are pending
    InitialisationCosts costs;
    std::array<std::uint64_t, kInitialisationCount> first_cost{};  // of the first batch, in which the initial estimate matters
    bool used = false;

    void batch_is_coded() {
      if (!used) first_cost = costs.cost;
      used = true;
    }
  };

  NNR_INLINE void add(Trial& trial, std::uint32_t& count, std::size_t context, std::size_t bin) {
    trial.bins[count] = static_cast<std::uint8_t>(bin);
    if (++count % kBatch == 0) [[unlikely]]
      batch_is_full(context);
  }

  // Contexts run in pairs. One with a full batch waits for a partner until its second batch is full.
  void batch_is_full(std::size_t context) {
    if (waiting_ == kNone) {
      waiting_ = context;
    } else if (waiting_ == context) {
      run(context);
    } else {
      run_both(waiting_, context, kBatch);
      waiting_ = kNone;
    }
  }

  // Codes the first `count` pending bins of two contexts.
  void run_both(std::size_t first, std::size_t second, std::uint32_t count) {
    InitialisationCosts::run_pair(trials_[first].costs, trials_[first].bins.data(), trials_[second].costs,
                                  trials_[second].bins.data(), count);
    for (const std::size_t context : {first, second}) {
      Trial& trial = trials_[context];
      trial.batch_is_coded();
      counts_[context] -= count;
      std::copy_n(trial.bins.data() + count, counts_[context], trial.bins.data());
    }
  }

  void run(std::size_t context) {
    if (waiting_ == context) waiting_ = kNone;
    if (counts_[context] == 0) return;
    trials_[context].costs.run(trials_[context].bins.data(), counts_[context]);
    trials_[context].batch_is_coded();
    counts_[context] = 0;
  }

  std::vector<Trial> trials_;
  std::vector<std::uint32_t> counts_;
  std::size_t waiting_ = kNone;  // context with a full batch and no partner
};

}  // namespace

Status search_initialisations(const TensorCoding& coding, const std::int32_t* levels, std::uint64_t sample,
                              TensorChoices& choices) {
  constexpr std::uint64_t kPiece = 4096;
  const ContextLayout layout(coding.unary_length);
  TrialSink sink(layout.count());
  choices.initialisations.clear();
  std::uint64_t failed_at = 0;
  TensorEncoder encoder(sink, coding);
  // Every so many pieces of the tensor, the rows that begin in one are looked at.
  const std::uint64_t stride = sample == 0 || coding.block_side() != 0 ? 1 : std::max<std::uint64_t>(coding.size() / sample, 1);
  std::uint64_t seen = 0;
  const auto is_seen = [&](const Segment& segment) {
    const bool selected = segment.begin / kPiece % stride == 0;
    seen += selected ? segment.length : 0;
    return selected;
  };
  const Outcome outcome = encoder.encode(levels, choices, failed_at, [](int) {}, is_seen);
  if (outcome != Outcome::kOk) return {outcome, failed_at, 0};

  sink.run_all();
  const double scale = static_cast<double>(coding.size()) / static_cast<double>(std::max<std::uint64_t>(seen, 1));
  // The context of the parameter flag adapts to earlier choices, so the choices are made in coding order.
  ContextModel flag;
  flag.initialise(0);
  for_each_initialised_context(coding, coding.base != nullptr, choices.history_enabled, [&](int index) {
    std::size_t cheapest = 0;
    if (sink.used(index)) {
      std::uint64_t least_cost = sink.cost(index, 0, scale) + bin_cost(flag, false);
      for (std::size_t i = 1; i < kInitialisationCount; ++i) {
        const std::uint64_t cost = sink.cost(index, i, scale) + bin_cost(flag, true) + std::uint64_t{3} * kBypassCost;
        if (cost < least_cost) {
          least_cost = cost;
          cheapest = i;
        }
      }
    }
    flag.update(cheapest != 0);
    choices.initialisations.push_back(static_cast<std::uint8_t>(cheapest));
  });
  return {};
}

}  // namespace nnr
