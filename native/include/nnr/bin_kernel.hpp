// SPDX-License-Identifier: Apache-2.0
// The encoder's inner loop: a run of bins into a codeword, dispatched to the fastest kernel that the processor supports.
// Clause: format 5.1.
#pragma once

#include <span>

#include "nnr/arithmetic_encoder.hpp"
#include "nnr/bin_run.hpp"
#include "nnr/fast_context.hpp"

namespace nnr {

// Encodes `run`, with the same codeword and context states as ArithmeticEncoder::encode bin by bin. `contexts` holds a context
// for every index in the run.
void encode_run(ArithmeticEncoder& engine, FastContext* contexts, std::span<const BinEntry> run);

}  // namespace nnr
