// SPDX-License-Identifier: Apache-2.0
// Which of the nine initialisations each context model should start from, by running all nine over the bins the context
// will see. The bins do not depend on the initialisations, so one pass over the levels serves all contexts.
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "nnr/payload.hpp"
#include "nnr/rate.hpp"

namespace nnr {

namespace {

// Bins of one context, tried from every initialisation.
//
// Candidates with the same adaptation shifts soon reach the same state and then cost the same for ever: such a pair is
// merged, which leaves four candidates to follow, one for each pair of shifts. That loses nothing.
class Trial {
 public:
  void add(bool bin) {
    bins_[count_++] = bin ? 1 : 0;
    if (count_ == bins_.size()) run();
  }

  void run() {
    if (count_ == 0) return;
    for (int i = 0; i < kInitialisationCount; ++i)
      if (merged_into_[at(i)] == i) follow(i);
    count_ = 0;
    used_ = true;
    merge();
  }

  void reset() {
    if (!used_ && count_ == 0) return;
    run();
    for (int i = 0; i < kInitialisationCount; ++i) {
      costs_[at(i)] = cost(i);
      merged_into_[at(i)] = i;
      lead_[at(i)] = 0;
      contexts_[at(i)].initialise(i);
    }
  }

  [[nodiscard]] bool used() const { return used_; }
  [[nodiscard]] std::int64_t cost(int i) const {
    return costs_[at(merged_into_[at(i)])] + lead_[at(i)];
  }

  Trial() {
    for (int i = 0; i < kInitialisationCount; ++i) {
      merged_into_[at(i)] = i;
      contexts_[at(i)].initialise(i);
    }
  }

 private:
  static constexpr std::size_t at(int i) { return static_cast<std::size_t>(i); }

  void follow(int i) {
    ContextModel context = contexts_[at(i)];
    std::int64_t cost = 0;
    for (std::size_t n = 0; n < count_; ++n) {
      const bool bin = bins_[n] != 0;
      cost += bin_cost(context, bin);
      context.update(bin);
    }
    contexts_[at(i)] = context;
    costs_[at(i)] += cost;
  }

  void merge() {
    for (int i = 1; i < kInitialisationCount; ++i) {
      if (merged_into_[at(i)] != i) continue;
      for (int j = 0; j < i; ++j) {
        if (merged_into_[at(j)] != j || !same_course(i, j)) continue;
        for (int k = 0; k < kInitialisationCount; ++k) {
          if (merged_into_[at(k)] != i) continue;
          lead_[at(k)] += costs_[at(i)] - costs_[at(j)];
          merged_into_[at(k)] = j;
        }
        break;
      }
    }
  }

  [[nodiscard]] bool same_course(int i, int j) const {
    const Initialisation& x = kInitialisations[at(i)];
    const Initialisation& y = kInitialisations[at(j)];
    return x.a == y.a && x.b_shift == y.b_shift && contexts_[at(i)].s0 == contexts_[at(j)].s0 &&
           contexts_[at(i)].s1 == contexts_[at(j)].s1;
  }

  std::array<std::uint8_t, 256> bins_{};
  std::size_t count_ = 0;
  bool used_ = false;
  std::array<ContextModel, kInitialisationCount> contexts_{};
  std::array<std::int64_t, kInitialisationCount> costs_{};
  std::array<std::int64_t, kInitialisationCount> lead_{};  // cost ahead of the candidate merged into
  std::array<int, kInitialisationCount> merged_into_{};
};

// A Sink that sorts bins by context.
class TrialSink {
 public:
  explicit TrialSink(int context_count) : trials_(static_cast<std::size_t>(context_count)) {}

  void regular(int context, bool bin) { trials_[static_cast<std::size_t>(context)].add(bin); }
  void bypass(bool) {}
  void bypass_bins(std::uint32_t, int) {}
  void restart_range() {}
  void initialise(int, int) {}
  void reset_contexts() {
    for (Trial& trial : trials_) trial.reset();
  }
  Trial& trial(int context) { return trials_[static_cast<std::size_t>(context)]; }

 private:
  std::vector<Trial> trials_;
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

  // The flag's own context adapts to the choices made before, so they are made in coding order.
  ContextModel flag;
  flag.initialise(0);
  for_each_initialised_context(coding, coding.base != nullptr, choices.history_enabled, [&](int index) {
    Trial& trial = sink.trial(index);
    trial.run();
    int best = 0;
    if (trial.used()) {
      std::int64_t best_cost = trial.cost(0) + bin_cost(flag, false);
      for (int i = 1; i < kInitialisationCount; ++i) {
        const std::int64_t cost = trial.cost(i) + bin_cost(flag, true) + 3 * kBypassCost;
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
