// SPDX-License-Identifier: Apache-2.0
// The levels of one run of positions, decoded at speed: the only second statement of the level grammar of format 5.3, tested
// bin by bin against the first, TensorDecoder over DecoderSource.
// Clause: format 5.2 to 5.4.
#pragma once

#include <cstdint>

#include "nnr/fast_context.hpp"
#include "nnr/fast_engine.hpp"
#include "nnr/scan.hpp"
#include "nnr/status.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

// What a run starts from, and what it leaves: all but the levels changes.
struct LevelRun {
  FastEngine& engine;
  FastContext* contexts;       // of a ContextLayout with coding.unary_length
  const TensorCoding& coding;  // its codebook_size is not 1
  Neighbourhood& near;         // only the sign of `previous` and the state are kept up
  bool history_enabled;
};

// Decodes the segment's levels into their places in `levels`. The outcome, and where the engine stands, are the reference's.
Outcome decode_levels(const LevelRun& run, const Segment& segment, std::int32_t* levels);

}  // namespace nnr
