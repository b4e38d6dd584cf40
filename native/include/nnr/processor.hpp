// SPDX-License-Identifier: Apache-2.0
// What the processor that runs this can do: kernels for it are compiled beside the plain ones and chosen once.
#pragma once

namespace nnr {

#if defined(__x86_64__) && defined(__GNUC__)
[[nodiscard]] inline bool has_avx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0;
}
#endif

}  // namespace nnr
