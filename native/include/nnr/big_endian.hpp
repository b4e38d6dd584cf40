// SPDX-License-Identifier: Apache-2.0
// Unaligned loads of big-endian words.
// Clause: format 1 and 5.1.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "nnr/inline.hpp"

namespace nnr {

// Reads the 8 bytes at `from`, which must be readable and need no alignment.
[[nodiscard]] NNR_INLINE std::uint64_t load_big_endian_64(const std::uint8_t* from) {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof word);
  if constexpr (std::endian::native == std::endian::little) {
    word = ((word & 0x00FF00FF00FF00FFULL) << 8) | ((word >> 8) & 0x00FF00FF00FF00FFULL);
    word = ((word & 0x0000FFFF0000FFFFULL) << 16) | ((word >> 16) & 0x0000FFFF0000FFFFULL);
    word = std::rotl(word, 32);
  }
  return word;
}

}  // namespace nnr
