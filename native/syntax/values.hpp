// SPDX-License-Identifier: Apache-2.0
// Types of syntax elements that are no machine integers.
// Clause: format 1.
#pragma once

#include <cstdint>
#include <span>

namespace nnr::syntax {

// st(v) and bs(v): bytes of the stream, without the zero byte that ends a st(v).
using Bytes = std::span<const std::uint8_t>;

// flt(32): the value's bits.
struct Binary32 {
  std::uint32_t bits = 0;
};

// A value of more than 32 bits: most significant byte first.
template <int kBytes>
struct BigEndian {
  std::uint8_t bytes[kBytes] = {};
};

}  // namespace nnr::syntax
