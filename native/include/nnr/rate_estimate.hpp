// SPDX-License-Identifier: Apache-2.0
// What levels will cost, without coding them.
// Clause: format 5.2 and 5.3.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nnr/rate.hpp"
#include "nnr/status.hpp"
#include "nnr/tensor_coding.hpp"
#include "nnr/tensor_encoder.hpp"

namespace nnr {

// In units of 2^-15 bit, by what they are spent on.
struct RateEstimate {
  std::int64_t significance = 0;
  std::int64_t sign = 0;
  std::int64_t greater = 0;  // greater-than flags
  std::int64_t escape = 0;   // prefixes and bypass bins of large magnitudes
  std::int64_t side = 0;     // quantisation parameter, row-skip flags, initialisations

  [[nodiscard]] std::int64_t total() const { return significance + sign + greater + escape + side; }
};

// Of one tensor under these choices; the end of the codeword (terminating bin, padding) is not in it.
Status estimate_rate(const TensorCoding& coding, const std::int32_t* levels, const TensorChoices& choices,
                     RateEstimate& estimate);

// Costs, in the same units, of the magnitudes of `values` (coded values, format 5.2's n) for each of the unary lengths in
// `candidates`: greater-than flags, escapes, and what their initialisations are about to cost. One pass over the values;
// the contexts start alike for all candidates, so that the costs can be compared but not added to others.
std::vector<std::int64_t> magnitude_costs(std::span<const std::int32_t> values, std::span<const int> candidates);

}  // namespace nnr
