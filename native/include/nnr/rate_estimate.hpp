// SPDX-License-Identifier: Apache-2.0
// Rate estimation without encoding.
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

// The cost of one tensor by kind of bin, in units of 2^-15 bit (rate.hpp).
struct RateEstimate {
  std::int64_t significance = 0;
  std::int64_t sign = 0;
  std::int64_t greater = 0;  // greater-than flags
  std::int64_t escape = 0;   // prefixes and bypass bins of large magnitudes
  std::int64_t side = 0;     // quantisation parameter, row-skip flags, initialisations

  [[nodiscard]] std::int64_t total() const { return significance + sign + greater + escape + side; }
};

// Estimates one tensor under these choices, without the terminating bin and padding. Costs are added to `estimate`.
Status estimate_rate(const TensorCoding& coding, const std::int32_t* levels, const TensorChoices& choices,
                     RateEstimate& estimate);

// Compares unary lengths: the cost, in the same units, of the magnitudes of `values` (coded values, format 5.2's n) for each
// unary length in `candidates`, 1..256. It counts greater-than flags, escapes and the approximate signalling of their
// initialisations, in one pass. All contexts start from the same initialisation, so the costs compare with each other only.
std::vector<std::int64_t> magnitude_costs(std::span<const std::int32_t> values, std::span<const int> candidates);

}  // namespace nnr
