// SPDX-License-Identifier: Apache-2.0
// Which of the nine initialisations each context model should start from, by running all nine over the bins the context
// will see. The bins do not depend on the initialisations, so one pass over the levels serves all contexts.
#include <array>
#include <cstdint>
#include <vector>

#include "nnr/candidate_courses.hpp"
#include "nnr/inline.hpp"
#include "nnr/payload.hpp"
#include "nnr/rate.hpp"

namespace nnr {

namespace {

// Bins of one context, tried from every initialisation.
class Trial {
 public:
  NNR_INLINE void add(bool bin) {
    bins_[count_++] = bin ? 1 : 0;
    if (count_ == bins_.size()) run();
  }

  void run() {
    if (count_ == 0) return;
    courses_.follow(bins_.data(), count_);
    count_ = 0;
    used_ = true;
  }

  // Contexts start anew, costs go on.
  void reset() {
    if (!used_ && count_ == 0) return;
    run();
    courses_.restart();
  }

  [[nodiscard]] bool used() const { return used_; }
  [[nodiscard]] std::uint64_t cost(std::size_t i) const { return courses_.cost[i]; }

 private:
  std::array<std::uint8_t, 256> bins_;  // the first count_ wait to be run
  std::size_t count_ = 0;
  bool used_ = false;
  CandidateCourses courses_;
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
      std::uint64_t best_cost = trial.cost(0) + bin_cost(flag, false);
      for (std::size_t i = 1; i < kInitialisationCount; ++i) {
        const std::uint64_t cost = trial.cost(i) + bin_cost(flag, true) + 3 * kBypassCost;
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
