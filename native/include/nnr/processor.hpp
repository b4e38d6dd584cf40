// SPDX-License-Identifier: Apache-2.0
// Run-time detection of processor features, and the macro that guards all processor-specific code.
//
// NNR_X86_KERNELS is 1 where kernels for BMI2 and AVX2 and inline assembly are compiled beside the portable code, and 0
// elsewhere. Defining NNR_PORTABLE sets it to 0: the build then holds portable code only, as on other processors and compilers.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(NNR_PORTABLE)
#define NNR_X86_KERNELS 1
#include <cpuid.h>
#else
#define NNR_X86_KERNELS 0
#endif

namespace nnr {

#if NNR_X86_KERNELS

[[nodiscard]] inline bool has_avx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0;
}

// True with BMI, BMI2 and LZCNT: zeros are counted, and shifts by a variable are done, in one cycle.
[[nodiscard]] inline bool has_bmi2() {
  __builtin_cpu_init();
  // Read from CPUID, because Clang before version 15 does not know the name lzcnt.
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  constexpr unsigned kLzcnt = 1U << 5;
  const bool lzcnt = __get_cpuid(0x80000001U, &eax, &ebx, &ecx, &edx) != 0 && (ecx & kLzcnt) != 0;
  return lzcnt && __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("bmi2") != 0;
}

#endif

}  // namespace nnr
