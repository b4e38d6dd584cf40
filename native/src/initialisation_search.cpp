// SPDX-License-Identifier: Apache-2.0
// Which of the nine initialisations each context model should start from, by running all nine over the bins the context
// will see. The bins do not depend on the initialisations, so one pass over the levels serves all contexts.
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "nnr/fast_context.hpp"
#include "nnr/inline.hpp"
#include "nnr/payload.hpp"
#include "nnr/rate.hpp"

namespace nnr {

namespace {

// One candidate on its way: the estimates of FastContext, and what the bins have cost so far.
struct Course {
  std::int64_t t0 = 0;
  std::int64_t t1 = 0;
  std::int64_t cost = 0;

  [[nodiscard]] bool meets(const Course& other) const { return t0 == other.t0 && t1 == other.t1; }
};

// Costs by bin, then (S >> 7) + 32, in one table.
struct CostTable {
  std::array<std::array<std::uint32_t, 64>, 2> of;
};

const CostTable& cost_table() {
  static const CostTable table{{kBinCosts.zero, kBinCosts.one}};
  return table;
}

// Bins of one context, tried from every initialisation.
//
// Candidates with the same adaptation shifts soon reach the same state and then cost the same for ever: such a pair is
// merged, which leaves four candidates to follow, one for each pair of shifts. That loses nothing. The candidates are
// independent, so that following several side by side takes little longer than following one.
class Trial {
 public:
  Trial() { restart(); }

  NNR_INLINE void add(bool bin) {
    bins_[count_++] = bin ? 1 : 0;
    if (count_ == bins_.size()) run();
  }

  void run() {
    if (count_ == 0) return;
    std::size_t i = 0;
    for (; i + kSideBySide <= live_count_; i += kSideBySide) follow<kSideBySide>(&live_[i]);
    for (; i < live_count_; ++i) follow<1>(&live_[i]);
    count_ = 0;
    used_ = true;
    if (live_count_ > kShiftPairs) merge();
  }

  // Contexts start anew, costs go on.
  void reset() {
    if (!used_ && count_ == 0) return;
    run();
    std::array<std::int64_t, kInitialisationCount> costs{};
    for (std::size_t i = 0; i < costs.size(); ++i) costs[i] = cost(i);
    restart();
    for (std::size_t i = 0; i < costs.size(); ++i) courses_[i].cost = costs[i];
  }

  [[nodiscard]] bool used() const { return used_; }
  [[nodiscard]] std::int64_t cost(std::size_t i) const { return courses_[merged_into_[i]].cost + lead_[i]; }

 private:
  static constexpr std::size_t kShiftPairs = 4;  // distinct (a, b_shift) in kInitialisations
  static constexpr std::size_t kSideBySide = 4;

  void restart() {
    live_count_ = kInitialisationCount;
    for (std::size_t i = 0; i < courses_.size(); ++i) {
      FastContext context;
      context.initialise(static_cast<int>(i));
      courses_[i] = {context.t0, context.t1, 0};
      merged_into_[i] = live_[i] = static_cast<std::uint8_t>(i);
      lead_[i] = 0;
    }
  }

  template <std::size_t kSide>
  void follow(const std::uint8_t* candidates) {
    const auto& costs = cost_table().of;
    std::array<Course, kSide> side;
    std::array<const detail::Adaptation*, kSide> adaptation;
    for (std::size_t k = 0; k < kSide; ++k) {
      side[k] = courses_[candidates[k]];
      adaptation[k] = &detail::kAdaptations[candidates[k]];
    }
    for (std::size_t n = 0; n < count_; ++n) {
      const std::size_t bin = bins_[n];
      const std::int64_t round = bin != 0 ? 0 : 127;
      for (std::size_t k = 0; k < kSide; ++k) {
        Course& course = side[k];
        course.cost += costs[bin][static_cast<std::size_t>(((course.t0 + course.t1) >> 7) + 32)];
        course.t0 += adaptation[k]->fast[bin][16 + ((course.t0 + round) >> 7)];
        course.t1 += adaptation[k]->slow[bin][16 + ((course.t1 + round) >> 7)];
      }
    }
    for (std::size_t k = 0; k < kSide; ++k) courses_[candidates[k]] = side[k];
  }

  void merge() {
    std::size_t kept = 0;
    for (std::size_t n = 0; n < live_count_; ++n) {
      const std::uint8_t i = live_[n];
      const auto same = [&](std::uint8_t j) {
        const Initialisation& x = kInitialisations[i];
        const Initialisation& y = kInitialisations[j];
        return x.a == y.a && x.b_shift == y.b_shift && courses_[i].meets(courses_[j]);
      };
      const auto found = std::find_if(live_.begin(), live_.begin() + kept, same);
      if (found == live_.begin() + kept) {
        live_[kept++] = i;
        continue;
      }
      for (std::size_t k = 0; k < merged_into_.size(); ++k) {
        if (merged_into_[k] != i) continue;
        lead_[k] += courses_[i].cost - courses_[*found].cost;
        merged_into_[k] = *found;
      }
    }
    live_count_ = kept;
  }

  std::array<std::uint8_t, 256> bins_;  // the first count_ wait to be run
  std::size_t count_ = 0;
  std::size_t live_count_ = 0;
  bool used_ = false;
  std::array<std::uint8_t, kInitialisationCount> live_{};         // candidates followed, the first live_count_
  std::array<std::uint8_t, kInitialisationCount> merged_into_{};  // itself while it is live
  std::array<Course, kInitialisationCount> courses_{};
  std::array<std::int64_t, kInitialisationCount> lead_{};  // cost ahead of the candidate merged into
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
    std::size_t best = 0;
    if (trial.used()) {
      std::int64_t best_cost = trial.cost(0) + bin_cost(flag, false);
      for (std::size_t i = 1; i < kInitialisationCount; ++i) {
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
