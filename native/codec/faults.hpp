// SPDX-License-Identifier: Apache-2.0
// Faults that several steps of decoding report.
#pragma once

#include <cstdint>

#include "fault.hpp"
#include "generated/elements.hpp"

namespace nnr {

inline Fault framing_fault(nnr_status status, std::uint64_t bit, syntax::ElementId element, const char* text) {
  return {status, NNR_STAGE_FRAMING, bit, syntax::element_name(element), "format 2", text};
}

inline Fault out_of_memory() { return {NNR_MEMORY, NNR_STAGE_NONE, 0, "", "", "out of memory"}; }

}  // namespace nnr
