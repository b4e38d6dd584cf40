// SPDX-License-Identifier: Apache-2.0
// The candidates of dependent quantisation for each weight, and their costs: in each quantiser the two values next to the weight,
// one even and one odd. Other values of the same parity cost a whole period of the quantiser in distortion.
//
// Distances are in steps, and costs in squared steps.
// Clause: format 5.2 to 5.4.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnr/inline.hpp"
#include "nnr/rate_tables.hpp"

namespace nnr {

// Cost of a path or value that does not exist. Sums of a few of them are finite, so that differences are never NaN.
inline constexpr float kUnreachableCost = 1e30F;

// The step and the shift of the candidates towards zero, in coded values.
struct CandidateScale {
  float inverse_step = 1;
  float zero_bias = 0;
};

// The magnitudes next to one weight in one quantiser.
struct Candidates {
  float scaled = 0;        // magnitude of the weight in units of coded values
  std::int32_t lower = 0;  // the smaller candidate; the other one is lower + 1

  NNR_INLINE Candidates(float x, std::size_t quantizer, float zero_bias) : scaled((x + static_cast<float>(quantizer)) * 0.5F) {
    const float shifted = scaled - zero_bias;
    lower = static_cast<std::int32_t>(shifted > 0.0F ? shifted : 0.0F);
  }

  // Distance from the weight to the smaller candidate, and to the larger one.
  [[nodiscard]] NNR_INLINE float error() const { return 2.0F * (scaled - static_cast<float>(lower)); }
  [[nodiscard]] NNR_INLINE float upper_error() const { return error() - 2.0F; }

  // The candidate of this parity.
  [[nodiscard]] NNR_INLINE std::int32_t value(std::int32_t parity) const { return lower + ((lower ^ parity) & 1); }
};

// The coded value of a weight in a quantiser whose parity is given.
[[nodiscard]] NNR_INLINE std::int32_t candidate_of(float weight, const CandidateScale& scale, std::size_t quantizer,
                                                   std::int32_t parity) {
  const float x = std::abs(weight * scale.inverse_step);
  const std::int32_t magnitude = Candidates(x, quantizer, scale.zero_bias).value(parity);
  return std::signbit(weight) ? -magnitude : magnitude;
}

// Costs of magnitudes, by sign (1 negative), without significance and sign. A nonzero value has no magnitude 0.
class MagnitudeCosts {
 public:
  // Holds magnitudes below a power of two that `largest` does not exceed, or fewer.
  explicit MagnitudeCosts(std::int64_t largest);

  void refresh(const RateTables& rates);

  [[nodiscard]] const float* of_sign(std::size_t negative) const { return costs_.data() + negative * size_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::size_t size_;
  std::vector<float> costs_;
};

// The transition of a weight: by the sign of the weight before (0 none, 1 negative, 2 positive) and by its own sign.
[[nodiscard]] constexpr std::uint32_t transition_of(std::uint32_t class_before, std::uint32_t negative) {
  return 2 * class_before + negative;
}
inline constexpr std::size_t kTransitions = 6;

// The costs of up to kCapacity weights.
struct CandidateCosts {
  static constexpr std::size_t kCapacity = 1024;

  // Cost of the candidate of each parity in each quantiser; index 2 * parity + quantiser.
  std::array<std::array<float, kCapacity>, 4> nonzero;
  std::array<float, kCapacity> zero;  // squared error of the value 0
  std::array<std::uint32_t, kCapacity> transition;

  // Computes the costs of `count` weights. `importance` may be null. `first` is true if no weight comes before the first one,
  // else weights[-1] is read. Results do not depend on the processor.
  void compute(const float* weights, const float* importance, std::size_t count, bool first, const CandidateScale& scale,
               const MagnitudeCosts& magnitudes, const RateTables& rates);
};

}  // namespace nnr
