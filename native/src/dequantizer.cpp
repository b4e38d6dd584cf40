// SPDX-License-Identifier: Apache-2.0
#include "nnr/dequantizer.hpp"

#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>

namespace nnr {

double step_size(std::int64_t qp, int qp_density) {
  const std::int64_t k = std::int64_t{1} << qp_density;
  const std::int64_t doublings = qp >> qp_density;
  if (doublings > 1023) return std::numeric_limits<double>::infinity();
  // Below the least subnormal. The exponent must fit an int.
  if (doublings < -2000) return 0.0;
  return std::ldexp(static_cast<double>(k + (qp & (k - 1))), static_cast<int>(doublings) - qp_density);
}

void dequantize(std::span<const std::int32_t> levels, double step, void* values) {
  const auto step32 = static_cast<float>(step);
  auto* const bytes = static_cast<unsigned char*>(values);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const float value = step32 * static_cast<float>(levels[i]);
    std::memcpy(bytes + i * sizeof value, &value, sizeof value);
  }
}

}  // namespace nnr
