// SPDX-License-Identifier: Apache-2.0
// What the processor that runs this can do: kernels for it are compiled beside the plain ones and chosen once.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#endif

namespace nnr {

#if defined(__x86_64__) && defined(__GNUC__)
[[nodiscard]] inline bool has_avx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0;
}

// Counting zeros, and shifting by a variable, in one cycle.
[[nodiscard]] inline bool has_bmi() {
  __builtin_cpu_init();
  // Clang knows no name for lzcnt before version 15.
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kLzcnt = 1U << 5;
  const bool lzcnt = __get_cpuid(0x80000001U, &eax, &ebx, &ecx, &edx) != 0 && (ecx & kLzcnt) != 0;
  return lzcnt && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
#else
[[nodiscard]] inline bool has_bmi() { return false; }
#endif

}  // namespace nnr
