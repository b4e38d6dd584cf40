// SPDX-License-Identifier: Apache-2.0
// Inflation of topology and quantisation data. The content is checked and counted, not kept.
// Clause: format 2.8.
#pragma once

#include <cstdint>
#include <span>

#include "nnr.h"

namespace nnr {

struct InflateResult {
  nnr_status status = NNR_OK;
  const char* text = "";
};

// Inflates a deflate stream, with the zlib wrapper or without, of at most `max_bytes`. One zero byte may follow it.
[[nodiscard]] InflateResult check_deflate(std::span<const std::uint8_t> octets, std::uint64_t max_bytes,
                                          const nnr_allocator& allocator);

}  // namespace nnr
