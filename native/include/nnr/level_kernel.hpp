// SPDX-License-Identifier: Apache-2.0
// The decoder's inner loop: the levels of one segment, dispatched to the fastest kernel that the processor supports.
//
// This is the only second statement of the level syntax of format 5.3. Tests compare it with the reference, TensorDecoder over
// DecoderSource, after every tensor.
// Clause: format 5.2 to 5.4.
#pragma once

#include <cstdint>

#include "nnr/fast_context.hpp"
#include "nnr/fast_engine.hpp"
#include "nnr/scan.hpp"
#include "nnr/status.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

// The decoder's state, read at the start of a segment and written at its end. The caller owns all of it.
struct LevelRun {
  FastEngine& engine;
  FastContext* contexts;         // coding.unary_length decides their ContextLayout
  const TensorCoding& coding;    // codebook_size is not 1
  Neighbourhood& neighbourhood;  // only the state, and `previous` as -1, 0 or 1, are kept up
  bool history_enabled;
};

// Decodes the segment's levels into their places in `levels`, an array of the whole tensor. Outcome and engine state equal the
// reference's.
Outcome decode_levels(const LevelRun& run, const Segment& segment, std::int32_t* levels);

}  // namespace nnr
