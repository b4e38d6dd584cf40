// SPDX-License-Identifier: Apache-2.0
// Which of the nine initialisations each context model should start from, by running all nine over the bins the context
// will see. The bins do not depend on the initialisations, so one pass over the levels serves all contexts.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "nnr/bin_run.hpp"
#include "nnr/candidate_courses.hpp"
#include "nnr/inline.hpp"
#include "nnr/payload.hpp"
#include "nnr/rate.hpp"

namespace nnr {

namespace {

// A Sink that sorts bins by context, and tries those of each from every initialisation.
class TrialSink {
 public:
  explicit TrialSink(int context_count) : trials_(static_cast<std::size_t>(context_count)), counts_(trials_.size()) {}

  void take(std::span<const BinEntry> run) {
    // In registers: a store of a byte might change anything else.
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
  // Contexts start anew, costs go on.
  void reset_contexts() {
    run_all();
    for (Trial& trial : trials_)
      if (trial.used) trial.courses.restart();
  }

  // Runs the bins that wait, those of two contexts at once where both have some.
  void run_all() {
    std::vector<std::size_t> order;
    for (std::size_t context = 0; context < trials_.size(); ++context)
      if (counts_[context] > 0) order.push_back(context);
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return counts_[a] > counts_[b]; });
    for (std::size_t i = 1; i < order.size(); i += 2) run_both(order[i - 1], order[i], counts_[order[i]]);
    for (const std::size_t context : order) run(context);
  }

  // What one context's bins have cost from initialisation i, once all are run; nothing where there were none.
  [[nodiscard]] bool used(int context) const { return trials_[static_cast<std::size_t>(context)].used; }
  [[nodiscard]] std::uint64_t cost(int context, std::size_t i) const {
    return trials_[static_cast<std::size_t>(context)].courses.cost[i];
  }

 private:
  static constexpr std::uint32_t kBatch = 256;
  static_assert(2 * kBatch <= CandidateCourses::kMostBins);
  static constexpr std::size_t kNone = SIZE_MAX;

  struct Trial {
    Trial() {}                                  // leaves the bins as they are: setting them takes longer than a small tensor
    std::array<std::uint8_t, 2 * kBatch> bins;  // the first of them, as many as counts_ says, wait to be run
    CandidateCourses courses;
    bool used = false;
  };

  NNR_INLINE void add(Trial& trial, std::uint32_t& count, std::size_t context, std::size_t bin) {
    trial.bins[count] = static_cast<std::uint8_t>(bin);
    if (++count % kBatch == 0) [[unlikely]]
      batch_is_full(context);
  }

  // Two contexts are run at once; one whose batch is full waits for another, until a second batch is full.
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

  // The first `count` bins of two contexts.
  void run_both(std::size_t first, std::size_t second, std::uint32_t count) {
    CandidateCourses::follow_two(trials_[first].courses, trials_[first].bins.data(), trials_[second].courses,
                                 trials_[second].bins.data(), count);
    for (const std::size_t context : {first, second}) {
      Trial& trial = trials_[context];
      trial.used = true;
      counts_[context] -= count;
      std::copy_n(trial.bins.data() + count, counts_[context], trial.bins.data());
    }
  }

  void run(std::size_t context) {
    if (waiting_ == context) waiting_ = kNone;
    if (counts_[context] == 0) return;
    trials_[context].courses.follow(trials_[context].bins.data(), counts_[context]);
    trials_[context].used = true;
    counts_[context] = 0;
  }

  std::vector<Trial> trials_;
  std::vector<std::uint32_t> counts_;
  std::size_t waiting_ = kNone;
};

}  // namespace

Status search_initialisations(const TensorCoding& coding, const std::int32_t* levels, TensorChoices& choices) {
  const ContextLayout layout(coding.unary_length);
  TrialSink sink(layout.count());
  choices.initialisations.clear();
  std::uint64_t failed_at = 0;
  TensorEncoder encoder(sink, coding);
  const Outcome outcome = encoder.encode(levels, choices, failed_at, [](int) {});
  if (outcome != Outcome::kOk) return {outcome, failed_at, 0};

  sink.run_all();
  // The flag's own context adapts to the choices made before, so they are made in coding order.
  ContextModel flag;
  flag.initialise(0);
  for_each_initialised_context(coding, coding.base != nullptr, choices.history_enabled, [&](int index) {
    std::size_t best = 0;
    if (sink.used(index)) {
      std::uint64_t best_cost = sink.cost(index, 0) + bin_cost(flag, false);
      for (std::size_t i = 1; i < kInitialisationCount; ++i) {
        const std::uint64_t cost = sink.cost(index, i) + bin_cost(flag, true) + 3 * kBypassCost;
        if (cost < best_cost) {
          best_cost = cost;
          best = i;
        }
      }
    }
    flag.update(best != 0);
    choices.initialisations.push_back(static_cast<std::uint8_t>(best));
  });
  return {};
}

}  // namespace nnr
