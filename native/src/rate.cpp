// SPDX-License-Identifier: Apache-2.0
#include "nnr/rate.hpp"

#include <cmath>

namespace nnr {

namespace {

// Between bins the range is roughly log-uniform over 256..510: that is how a range scaled by many factors settles.
BinCosts make_bin_costs() {
  BinCosts costs{};
  for (int state = -32; state < 32; ++state) {
    double lps_bits = 0;
    double mps_bits = 0;
    double weights = 0;
    for (unsigned range = 256; range < 511; ++range) {
      const double lps = kRangeLps[(range & 0xE0U) + ContextModel::lps_column(state * 128)];
      const double weight = 1.0 / range;
      lps_bits += weight * std::log2(range / lps);
      mps_bits += weight * std::log2(range / (range - lps));
      weights += weight;
    }
    const auto index = static_cast<unsigned>(state + 32);
    const double lps_mean = lps_bits / weights;
    const double mps_mean = mps_bits / weights;
    const double one = state >= 0 ? mps_mean : lps_mean;
    const double zero = state >= 0 ? lps_mean : mps_mean;
    costs.one[index] = static_cast<std::uint32_t>(std::lround(one * kBypassCost));
    costs.zero[index] = static_cast<std::uint32_t>(std::lround(zero * kBypassCost));
  }
  return costs;
}

}  // namespace

const BinCosts kBinCosts = make_bin_costs();

}  // namespace nnr
