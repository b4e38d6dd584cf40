// SPDX-License-Identifier: Apache-2.0
#include "nnr/correction.hpp"

#include <algorithm>
#include <array>

#include "nnr/processor.hpp"

namespace nnr {

namespace {

// Targets and coefficients of one block stay in the first-level cache while all lines use them.
constexpr std::size_t kCount = 512;
constexpr std::size_t kDepth = 4;

#if defined(__GNUC__)
#define NNR_ALWAYS_INLINE [[gnu::always_inline]] inline
#else
#define NNR_ALWAYS_INLINE inline
#endif

NNR_ALWAYS_INLINE void add_block(float* targets, std::size_t target_stride, std::size_t lines, std::size_t count,
                                 const Corrections& c) {
  for (std::size_t begin = 0; begin < count; begin += kCount) {
    const std::size_t n = std::min(kCount, count - begin);
    std::size_t j = 0;
    for (; j + kDepth <= c.depth; j += kDepth) {
      const float* const rows = c.coefficients + j * c.coefficient_stride + begin;
      const std::size_t stride = c.coefficient_stride;
      for (std::size_t line = 0; line < lines; ++line) {
        float* const t = targets + line * target_stride + begin;
        std::array<float, kDepth> e;
        for (std::size_t k = 0; k < kDepth; ++k) e[k] = c.errors[line * c.error_stride + (j + k) * c.error_step];
        for (std::size_t i = 0; i < n; ++i) {
          float sum = t[i];
          for (std::size_t k = 0; k < kDepth; ++k) sum += e[k] * rows[k * stride + i];
          t[i] = sum;
        }
      }
    }
    for (; j < c.depth; ++j) {
      const float* const row = c.coefficients + j * c.coefficient_stride + begin;
      for (std::size_t line = 0; line < lines; ++line) {
        float* const t = targets + line * target_stride + begin;
        const float e = c.errors[line * c.error_stride + j * c.error_step];
        for (std::size_t i = 0; i < n; ++i) t[i] += e * row[i];
      }
    }
  }
}

#if NNR_X86_KERNELS
[[gnu::target("avx2")]] void add_block_avx2(float* targets, std::size_t target_stride, std::size_t lines, std::size_t count,
                                            const Corrections& c) {
  add_block(targets, target_stride, lines, count, c);
}
#endif

}  // namespace

void add_corrections(float* targets, std::size_t target_stride, std::size_t lines, std::size_t count,
                     const Corrections& corrections) {
#if NNR_X86_KERNELS
  static const bool avx2 = has_avx2();
  if (avx2) return add_block_avx2(targets, target_stride, lines, count, corrections);
#endif
  add_block(targets, target_stride, lines, count, corrections);
}

}  // namespace nnr
