// SPDX-License-Identifier: Apache-2.0
// Trellis search of quantisation with error feedback over consecutive weights: the survivors, their costs and their decisions.
// Clause: format 5.2 to 5.4.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "nnr/correction.hpp"
#include "nnr/dependent_quantization.hpp"
#include "nnr/feedback.hpp"
#include "nnr/observer.hpp"
#include "nnr/rate_tables.hpp"

namespace nnr {

// Largest number of survivors per state of the quantiser.
constexpr int kMaxSurvivors = 16;
// Bound of a corrected weight, in steps: far beyond any use, and far within 32 bits.
constexpr double kMaxTarget = 1 << 29;

// Consecutive weights of one search, in rows of `width`.
struct FeedbackLine {
  std::span<const float> weights;
  std::size_t width = 0;
  std::int32_t* values = nullptr;        // [weights] coded values, the result
  float* targets = nullptr;              // [width] scratch; if `prepared`, [weights] corrected weights in steps
  float* errors = nullptr;               // [weights] errors of decided weights, in steps; null if they are not wanted
  const float* row_weights = nullptr;    // [rows], or null for 1 everywhere
  const float* place_weights = nullptr;  // [width], or null for 1 everywhere
  bool prepared = false;
};

// Coefficients of the corrections within a row; all null for rows whose weights do not correct one another.
struct FeedbackCoefficients {
  const float* matrix = nullptr;  // [width][width]: of the error of weight j for weight i at [j][i], j < i
  const float* band = nullptr;    // [width][2 * interval]: the same for the errors of the 2 * interval weights before i
};

template <bool kDependent>
class FeedbackSearch {
 public:
  // `rates` is shared by searches that take turns; it outlives them.
  FeedbackSearch(const FeedbackLine& line, double step, RateTables& rates, const FeedbackCoefficients& coefficients,
                 const FeedbackSettings& settings)
      : line_(line),
        inverse_(1.0 / step),
        rates_(rates),
        coefficients_(coefficients),
        lambda_(settings.lambda),
        interval_(static_cast<std::size_t>(settings.interval)),
        per_state_(static_cast<std::size_t>(settings.survivors)),
        errors_(2 * kStates * per_state_ * 2 * interval_),
        values_(errors_.size()),
        candidates_(kStates * per_state_) {
    survivors_.assign(1, {0.0F, 0, RateTables::kAfterZero, 0});
  }

  // Number of decided weights.
  [[nodiscard]] std::size_t decided() const { return decided_; }

  // Extends the survivors up to weight `limit`. Decided errors correct the targets of the row up to `corrected`; the caller
  // corrects the rest of the row.
  void extend_to(std::size_t limit, std::size_t corrected) {
    near_end_ = corrected;
    for (; next_weight_ < limit; ++next_weight_) {
      if (next_weight_ % line_.width == 0) {
        begin_row(next_weight_);
        advance(line_.width);
      }
      extend(next_weight_);
      if (next_weight_ + 1 - decided_ == 2 * interval_ && next_weight_ + 1 < line_.weights.size())
        decide(next_weight_ + 1, interval_);
    }
  }

  // Decides all weights so far. With `terminate`, the state of the quantiser is then 0; the weights after the last call of
  // `leave` are enough to reach it.
  void finish(bool terminate) {
    if (terminate) std::erase_if(survivors_, [](const Survivor& survivor) { return survivor.state != 0; });
    decide(next_weight_, next_weight_ - decided_);
  }

  // Decides weights until at most one interval is open, so that the next eight weights cause no decision.
  void leave_open() {
    if (next_weight_ - decided_ > interval_) decide(next_weight_, next_weight_ - decided_ - interval_);
  }

 private:
  static constexpr std::size_t kStates = kDependent ? kTrellisStates : 1;
  static constexpr float kUnreachable = std::numeric_limits<float>::infinity();

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

  [[nodiscard]] float* errors(std::size_t slot) { return errors_.data() + slot * 2 * interval_; }
  [[nodiscard]] std::int32_t* values(std::size_t slot) { return values_.data() + slot * 2 * interval_; }

  void begin_row(std::size_t n) {
    row_begin_ = n;
    targets_ = line_.targets + (line_.prepared ? n : 0);
    if (!line_.prepared)
      for (std::size_t i = 0; i < line_.width; ++i) targets_[i] = static_cast<float>(line_.weights[n + i] * inverse_);
    row_weight_ = line_.row_weights != nullptr ? line_.row_weights[n / line_.width] : 1.0F;
  }

  // Extends all survivors by one weight.
  void extend(std::size_t n) {
    const std::size_t column = n - row_begin_;
    const std::size_t place = n - decided_;
    const std::size_t first = row_begin_ > decided_ ? row_begin_ - decided_ : 0;
    const float* band =
        coefficients_.band == nullptr ? nullptr : coefficients_.band + (column + 1) * 2 * interval_ - (place - first);
    const float weight = line_.place_weights != nullptr ? row_weight_ * line_.place_weights[column] : row_weight_;
    used_.fill(0);
    for (std::size_t m = 0; m < survivors_.size(); ++m) {
      const Survivor& survivor = survivors_[m];
      double target = targets_[column];
      if (band != nullptr) target += dot(errors(survivor.slot) + first, band, place - first);
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
  void adopt(std::size_t n, std::size_t place) {
    next_.clear();
    std::array<std::uint8_t, 2 * kTrellisStates * kMaxSurvivors> taken{};  // by slot
    const auto exact = line_.weights[n] * inverse_;
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
  // and adds the decided errors to the targets of the row up to near_end_. `end` is the next weight.
  void decide(std::size_t end, std::size_t count) {
    const auto cheapest = *std::min_element(survivors_.begin(), survivors_.end(),
                                            [](const Survivor& a, const Survivor& b) { return a.cost < b.cost; });
    const std::int32_t* const chosen = values(cheapest.slot);
    std::erase_if(survivors_, [&](const Survivor& other) { return !std::equal(chosen, chosen + count, values(other.slot)); });
    for (std::size_t i = 0; i < count; ++i) {
      line_.values[decided_ + i] = chosen[i];
      rates_.adapt(neighbourhood_, chosen[i]);
    }
    rates_.refresh(lambda_);
    const float* const decided_errors = errors(cheapest.slot);
    if (line_.errors != nullptr) std::copy_n(decided_errors, count, line_.errors + decided_);
    if (coefficients_.matrix != nullptr && row_begin_ < decided_ + count && end < row_begin_ + near_end_) {
      const std::size_t first = row_begin_ > decided_ ? row_begin_ - decided_ : 0;
      const std::size_t from = decided_ + first - row_begin_;
      const std::size_t to = end - row_begin_;
      add_corrections(targets_ + to, line_.width, 1, near_end_ - to,
                      {decided_errors + first, 0, 1, coefficients_.matrix + from * line_.width + to, line_.width, count - first});
    }
    const std::size_t open = end - decided_ - count;
    for (Survivor& survivor : survivors_) {
      survivor.cost -= cheapest.cost;
      std::memmove(errors(survivor.slot), errors(survivor.slot) + count, open * sizeof(float));
      std::memmove(values(survivor.slot), values(survivor.slot) + count, open * sizeof(std::int32_t));
    }
    decided_ += count;
  }

  // Dot product in eight lanes: the order of summation is fixed, and compilers may still use vectors.
  static float dot(const float* a, const float* b, std::size_t n) {
    std::array<float, 8> lanes{};
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8)
      for (std::size_t lane = 0; lane < 8; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
    float sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
    for (; i < n; ++i) sum += a[i] * b[i];
    return sum;
  }

  const FeedbackLine line_;
  const double inverse_;
  RateTables& rates_;
  const FeedbackCoefficients coefficients_;
  const double lambda_;
  const std::size_t interval_;
  const std::size_t per_state_;
  Neighbourhood neighbourhood_;

  std::size_t next_weight_ = 0;
  std::size_t decided_ = 0;   // number of decided weights
  std::size_t near_end_ = 0;  // place in the row up to which decided errors correct targets
  std::size_t row_begin_ = 0;
  float* targets_ = nullptr;  // [width] the row in steps, corrected by the errors decided so far
  float row_weight_ = 1;
  std::vector<float> errors_;         // [slot][2 * interval] errors of the undecided weights, in steps, uncorrected
  std::vector<std::int32_t> values_;  // [slot][2 * interval] coded values of the undecided weights
  std::vector<Survivor> survivors_;
  std::vector<Survivor> next_;
  std::vector<Candidate> candidates_;        // [state][survivor]
  std::vector<Candidate> added_;             // [survivor] the candidate that next_ adds to its slot
  std::array<std::size_t, kStates> used_{};  // [state] number of candidates kept
};

}  // namespace nnr
