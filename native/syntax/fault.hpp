// SPDX-License-Identifier: Apache-2.0
// A fault of a stream: its class, its place and the rule that it breaks.
// Clause: format 7.
#pragma once

#include <cstdint>

#include "nnr.h"

namespace nnr {

struct Fault {
  nnr_status status = NNR_OK;
  nnr_stage stage = NNR_STAGE_NONE;
  std::uint64_t bit_offset = 0;  // absolute in the buffer that was parsed
  const char* element = "";
  const char* clause = "";
  const char* text = "";
  std::int32_t tensor = -1;  // of a codeword, in the order of data; -1 where none is concerned
};

}  // namespace nnr
