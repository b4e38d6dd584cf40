// SPDX-License-Identifier: Apache-2.0
// NNR_INLINE forces inlining. It is for the functions of the inner loops, whose state must stay in their caller's registers.
#pragma once

#if defined(_MSC_VER) && !defined(__clang__)
#define NNR_INLINE __forceinline
#else
#define NNR_INLINE __attribute__((always_inline)) inline
#endif
