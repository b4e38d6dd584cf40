// SPDX-License-Identifier: Apache-2.0
// Inflation of topology and quantisation data.
// Clause: format 2.8.
#pragma once

#include <cstdint>
#include <span>

#include "nnr/memory.hpp"

namespace nnr {

struct InflateResult {
  nnr_status status = NNR_OK;
  const char* text = "";
};

// Inflates a deflate stream, with the zlib wrapper or without, of at most `max_bytes`. One zero byte may follow it.
//
// content: receives the inflated bytes; null to check and count them only.
[[nodiscard]] InflateResult inflate_content(std::span<const std::uint8_t> octets, std::uint64_t max_bytes,
                                            const nnr_allocator& allocator, Buffer<std::uint8_t>* content);

}  // namespace nnr
