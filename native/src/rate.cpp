// SPDX-License-Identifier: Apache-2.0
#include "nnr/rate.hpp"

#include <cmath>

namespace nnr {

namespace {

// Between bins the range is close to log-uniform over 256..510, as the product of many factors modulo a power of two is.
BinCosts make_bin_costs() noexcept {
  BinCosts costs{};
  for (int state = -32; state < 32; ++state) {
    double lps_bits = 0;
    double mps_bits = 0;
    double weight_sum = 0;
    for (std::uint32_t range = kRestartRange; range <= kInitialRange; ++range) {
      const double lps = ContextModel::lps_range(range, state * 128);
      const double weight = 1.0 / range;
      lps_bits += weight * std::log2(range / lps);
      mps_bits += weight * std::log2(range / (range - lps));
      weight_sum += weight;
    }
    const std::size_t index = ContextModel::state_index(state * 128);
    const double lps_mean = lps_bits / weight_sum;
    const double mps_mean = mps_bits / weight_sum;
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
