// SPDX-License-Identifier: Apache-2.0
#include "nnr/feedback.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "nnr/dependent_quantization.hpp"
#include "nnr/quantizer.hpp"
#include "nnr/rate_tables.hpp"

namespace nnr {

namespace {

constexpr float kUnreachable = std::numeric_limits<float>::infinity();
// Bound of a corrected weight, in steps: far beyond any use, and far within 32 bits.
constexpr double kMaxTarget = 1 << 29;
constexpr int kMaxSurvivors = 16;

// Dot product in eight lanes: the order of summation is fixed, and compilers may still use vectors.
float dot(const float* a, const float* b, std::size_t n) {
  std::array<float, 8> lanes{};
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (std::size_t lane = 0; lane < 8; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  float sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

struct Survivor {
  float cost = kUnreachable;
  std::uint8_t state = 0;
  RateTables::Kind kind = RateTables::kAfterZero;  // by the value before
  std::size_t slot = 0;                            // of its values and errors
};

struct Candidate {
  float cost = kUnreachable;
  std::size_t parent = 0;
  std::int32_t value = 0;  // coded value
  std::int32_t level = 0;  // in steps
};

template <bool kDependent>
class FeedbackSearch {
 public:
  FeedbackSearch(std::span<const float> weights, double step, const TensorCoding& coding, const FeedbackSettings& settings)
      : weights_(weights),
        inverse_(1.0 / step),
        settings_(settings),
        width_(coding.width),
        interval_(static_cast<std::size_t>(settings.interval)),
        per_state_(static_cast<std::size_t>(settings.survivors)),
        rates_(coding, false, settings.initialisations),
        targets_(width_),
        errors_(2 * kStates * per_state_ * 2 * interval_),
        values_(errors_.size()),
        candidates_(kStates * per_state_) {
    survivors_.assign(1, {0.0F, 0, RateTables::kAfterZero, 0});
    rates_.refresh(settings.lambda);
  }

  // Writes the coded values of all weights.
  void run(std::int32_t* output) {
    for (std::uint64_t n = 0; n < weights_.size(); ++n) {
      if (n % width_ == 0) begin_row(n);
      extend(n);
      if (n + 1 - decided_ == 2 * interval_) decide(n + 1, interval_, output);
    }
    decide(weights_.size(), weights_.size() - decided_, output);
  }

 private:
  static constexpr std::size_t kStates = kDependent ? kTrellisStates : 1;

  [[nodiscard]] float* errors(std::size_t slot) { return errors_.data() + slot * 2 * interval_; }
  [[nodiscard]] std::int32_t* values(std::size_t slot) { return values_.data() + slot * 2 * interval_; }

  void begin_row(std::uint64_t n) {
    row_begin_ = n;
    for (std::size_t i = 0; i < width_; ++i) targets_[i] = static_cast<float>(weights_[n + i] * inverse_);
    row_weight_ = settings_.row_weights != nullptr ? settings_.row_weights[n / width_] : 1.0F;
  }

  // Extends all survivors by one weight.
  void extend(std::uint64_t n) {
    const std::size_t column = n - row_begin_;
    const std::size_t place = n - decided_;
    const std::size_t first = row_begin_ > decided_ ? row_begin_ - decided_ : 0;
    const float* coefficients = settings_.coefficients + column * width_ + (decided_ + first - row_begin_);
    const float weight = row_weight_ * settings_.column_weights[column];
    used_.assign(kStates, 0);
    for (std::size_t m = 0; m < survivors_.size(); ++m) {
      const Survivor& survivor = survivors_[m];
      const double target = targets_[column] + dot(errors(survivor.slot) + first, coefficients, place - first);
      propose(m, survivor, std::clamp(target, -kMaxTarget, kMaxTarget), weight);
    }
    adopt(n, place);
  }

  // Offers the candidates after one survivor: zero, and the nearest value of each parity on either side of the target.
  void propose(std::size_t parent, const Survivor& survivor, double target, float weight) {
    const bool negative = std::signbit(target);
    const double x = std::abs(target);
    const float to_zero = survivor.cost + rates_.zero[survivor.kind][survivor.state];
    offer(survivor.state, {to_zero + weight * static_cast<float>(x * x), parent, 0, 0});
    const float to_nonzero =
        survivor.cost + rates_.nonzero[survivor.kind][survivor.state] + rates_.sign[survivor.kind][negative ? 1 : 0];
    const int quantizer = kDependent ? quantizer_of(survivor.state) : 0;
    const double scaled = kDependent ? 0.5 * (x + quantizer) : x;
    const auto floor = static_cast<std::int64_t>(scaled);
    for (std::int64_t q = std::max<std::int64_t>(floor - (kDependent ? 1 : 0), 1); q <= floor + (kDependent ? 2 : 1); ++q) {
      const std::int64_t magnitude = kDependent ? magnitude_to_level(q, quantizer) : q;
      const auto error = static_cast<float>(x - static_cast<double>(magnitude));
      const float cost = to_nonzero + weight * error * error + rates_.magnitude(q, negative);
      offer(survivor.state, {cost, parent, static_cast<std::int32_t>(negative ? -q : q),
                             static_cast<std::int32_t>(negative ? -magnitude : magnitude)});
    }
  }

  // Inserts a candidate into the sorted list of the state that it leads to, if it is among the cheapest there.
  void offer(std::uint8_t state, const Candidate& candidate) {
    const auto next = static_cast<std::size_t>(kDependent ? next_state(state, candidate.value) : 0);
    Candidate* const kept = candidates_.data() + next * per_state_;
    std::size_t place = used_[next];
    if (place == per_state_) {
      if (!(candidate.cost < kept[place - 1].cost)) return;
      --place;
    } else {
      ++used_[next];
    }
    for (; place > 0 && candidate.cost < kept[place - 1].cost; --place) kept[place] = kept[place - 1];
    kept[place] = candidate;
  }

  // Makes the kept candidates the survivors. The first child of a parent inherits its slot; other children get copies.
  void adopt(std::uint64_t n, std::size_t place) {
    next_.clear();
    std::array<std::uint8_t, 2 * kTrellisStates * kMaxSurvivors> taken{};  // by slot
    const auto exact = weights_[n] * inverse_;
    for (const bool inherits : {true, false}) {
      for (std::size_t state = 0; state < kStates; ++state)
        for (std::size_t i = 0; i < used_[state]; ++i) {
          Candidate& candidate = candidates_[state * per_state_ + i];
          const std::size_t parent_slot = survivors_[candidate.parent].slot;
          if (inherits) {
            if (taken[parent_slot] != 0) continue;
            taken[parent_slot] = 1;
            add(candidate, state, parent_slot);
            candidate.cost = kUnreachable;
          } else if (candidate.cost != kUnreachable) {
            std::size_t slot = 0;
            while (taken[slot] != 0) ++slot;
            taken[slot] = 1;
            std::memcpy(errors(slot), errors(parent_slot), place * sizeof(float));
            std::memcpy(values(slot), values(parent_slot), place * sizeof(std::int32_t));
            add(candidate, state, slot);
          }
        }
    }
    for (std::size_t i = 0; i < next_.size(); ++i) {
      errors(next_[i].slot)[place] = static_cast<float>(exact - added_[i].level);
      values(next_[i].slot)[place] = added_[i].value;
    }
    added_.clear();
    survivors_.swap(next_);
  }

  void add(const Candidate& candidate, std::size_t state, std::size_t slot) {
    const auto kind = candidate.value == 0  ? RateTables::kAfterZero
                      : candidate.value < 0 ? RateTables::kAfterNegative
                                            : RateTables::kAfterPositive;
    next_.push_back({candidate.cost, static_cast<std::uint8_t>(state), kind, slot});
    added_.push_back(candidate);
  }

  // Decides the first `count` undecided weights by the cheapest survivor, drops the survivors that disagree, adapts the contexts,
  // and adds the decided errors to the targets of the rest of the row. `end` is the next weight.
  void decide(std::uint64_t end, std::size_t count, std::int32_t* output) {
    const auto cheapest = *std::min_element(survivors_.begin(), survivors_.end(),
                                            [](const Survivor& a, const Survivor& b) { return a.cost < b.cost; });
    const std::int32_t* chosen = values(cheapest.slot);
    std::erase_if(survivors_, [&](const Survivor& other) { return !std::equal(chosen, chosen + count, values(other.slot)); });
    for (std::size_t i = 0; i < count; ++i) {
      output[decided_ + i] = chosen[i];
      rates_.adapt(neighbourhood_, chosen[i]);
    }
    rates_.refresh(settings_.lambda);
    if (row_begin_ < decided_ + count) {
      const std::size_t first = row_begin_ > decided_ ? row_begin_ - decided_ : 0;
      const std::size_t from = decided_ + first - row_begin_;
      for (std::size_t i = end - row_begin_; i < width_; ++i)
        targets_[i] += dot(errors(cheapest.slot) + first, settings_.coefficients + i * width_ + from, count - first);
    }
    const std::size_t open = end - decided_ - count;
    for (Survivor& survivor : survivors_) {
      survivor.cost -= cheapest.cost;
      std::memmove(errors(survivor.slot), errors(survivor.slot) + count, open * sizeof(float));
      std::memmove(values(survivor.slot), values(survivor.slot) + count, open * sizeof(std::int32_t));
    }
    decided_ += count;
  }

  const std::span<const float> weights_;
  const double inverse_;
  const FeedbackSettings& settings_;
  const std::size_t width_;
  const std::size_t interval_;
  const std::size_t per_state_;
  RateTables rates_;
  Neighbourhood neighbourhood_;

  std::uint64_t row_begin_ = 0;
  std::uint64_t decided_ = 0;  // number of decided weights
  float row_weight_ = 1;
  std::vector<float> targets_;        // [width] the row in steps, corrected by the errors decided so far
  std::vector<float> errors_;         // [slot][2 * interval] errors of the undecided weights, in steps, uncorrected
  std::vector<std::int32_t> values_;  // [slot][2 * interval] coded values of the undecided weights
  std::vector<Survivor> survivors_;
  std::vector<Survivor> next_;
  std::vector<Candidate> candidates_;  // [state][survivor]
  std::vector<Candidate> added_;       // [survivor] the candidate that next_ adds to its slot
  std::vector<std::size_t> used_;      // [state] number of candidates kept
};

template <bool kDependent>
void quantize(std::span<const float> weights, double step, const TensorCoding& coding, const FeedbackSettings& settings,
              std::int32_t* values) {
  FeedbackSearch<kDependent>(weights, step, coding, settings).run(values);
  if constexpr (kDependent) values_to_levels({values, coding.size()});
}

}  // namespace

std::size_t quantize_feedback(std::span<const float> weights, double step, const TensorCoding& coding,
                              const FeedbackSettings& settings, std::int32_t* levels) {
  assert(weights.size() == coding.size() && coding.codebook_size == 0 && coding.base == nullptr && coding.block_side() == 0);
  assert(settings.survivors >= 1 && settings.survivors <= kMaxSurvivors && settings.interval >= 8);
  const std::size_t position = find_out_of_range(weights, step, std::min(kMaxLevel, kMaxTarget));
  if (position != weights.size()) return position;
  (coding.dependent ? quantize<true> : quantize<false>)(weights, step, coding, settings, levels);
  return weights.size();
}

}  // namespace nnr
