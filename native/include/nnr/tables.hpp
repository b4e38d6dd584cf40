// SPDX-License-Identifier: Apache-2.0
// The constants and tables of the arithmetic coder. They stand nowhere else in the product.
// Clause: format 5.1 and 6.
#pragma once

#include <array>
#include <cstdint>

namespace nnr {

// The interval is a range of kRangeBits bits. It starts a codeword at kInitialRange and a block row at kRestartRange; between
// bins it is kRestartRange..kInitialRange.
inline constexpr int kRangeBits = 9;
inline constexpr std::uint32_t kInitialRange = 510;
inline constexpr std::uint32_t kRestartRange = 256;

// Range of the less probable symbol: row (range & 0xE0) / 32, column |S >> 7|.
// clang-format off
inline constexpr std::array<std::uint8_t, 256> kRangeLps = {
    128, 112, 97,  84,  74,  65,  57,  50,  45, 39, 34, 30, 27, 23, 20, 18, 15, 14, 12, 11, 10, 9,  7,  7,  5,  5,  4, 4, 3, 3, 2, 2,
    142, 125, 108, 93,  82,  72,  63,  56,  50, 43, 38, 33, 30, 26, 22, 20, 17, 16, 13, 12, 11, 10, 8,  8,  6,  6,  5, 5, 3, 3, 2, 2,
    156, 137, 119, 103, 90,  79,  70,  61,  55, 48, 42, 37, 33, 28, 24, 22, 19, 17, 15, 13, 12, 11, 9,  9,  6,  6,  5, 5, 4, 4, 2, 2,
    171, 150, 130, 112, 99,  87,  76,  67,  60, 52, 46, 40, 36, 31, 27, 24, 21, 19, 16, 15, 13, 12, 10, 10, 7,  7,  6, 6, 4, 4, 3, 3,
    185, 162, 141, 121, 107, 94,  82,  73,  65, 56, 50, 43, 39, 34, 29, 26, 22, 21, 17, 16, 14, 13, 11, 11, 8,  8,  6, 6, 4, 4, 3, 3,
    199, 175, 152, 131, 115, 101, 89,  78,  70, 61, 54, 47, 42, 36, 31, 28, 24, 22, 19, 17, 15, 14, 12, 12, 8,  8,  7, 7, 5, 5, 3, 3,
    213, 187, 163, 140, 123, 108, 95,  84,  75, 65, 58, 50, 45, 39, 33, 30, 26, 24, 20, 18, 16, 15, 13, 13, 9,  9,  7, 7, 5, 5, 3, 3,
    228, 200, 174, 150, 132, 116, 102, 90,  80, 70, 62, 54, 48, 42, 36, 32, 28, 26, 22, 20, 18, 16, 14, 14, 10, 10, 8, 8, 6, 6, 4, 4,
};
// clang-format on

// Adaptation step before the context's own shift, by 16 + (s0 >> 3) or 16 + (s1 >> 7).
inline constexpr std::array<std::uint16_t, 32> kStep = {
    2512, 2288, 2064, 1840, 1616, 1392, 1168, 944, 720, 560, 464, 368, 272, 208, 144, 80,
    64,   64,   64,   64,   64,   64,   64,   64,  64,  64,  64,  64,  64,  64,  64,  0,
};

// The start of a context model. The slow estimate is S - 16 * s0.
struct Initialisation {
  std::int8_t fast_shift;  // adaptation shift of the fast estimate, 4..7
  std::int8_t slow_shift;  // adaptation shift of the slow estimate, 4..6
  std::int16_t state;      // S, of both estimates
  std::int8_t s0;          // the fast estimate
};

inline constexpr int kInitialisationCount = 9;
inline constexpr std::array<Initialisation, kInitialisationCount> kInitialisations = {{
    {5, 4, 0, 0},
    {5, 4, -1310, -41},
    {5, 4, 3039, 95},
    {4, 5, 0, 0},
    {6, 6, 962, 30},
    {6, 6, 3039, 95},
    {6, 6, -673, -21},
    {7, 5, 0, 0},
    {7, 5, 962, 30},
}};

}  // namespace nnr
