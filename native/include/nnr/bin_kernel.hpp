// SPDX-License-Identifier: Apache-2.0
// A list of bins into a codeword: the encoder's busiest loop, compiled for what the processor can do.
// Clause: format 5.1.
#pragma once

#include <span>

#include "nnr/arithmetic_encoder.hpp"
#include "nnr/bin_run.hpp"
#include "nnr/fast_context.hpp"

namespace nnr {

// `contexts` is indexed as the bins say. The same codeword and contexts as encoding bin by bin.
void encode_run(ArithmeticEncoder& engine, FastContext* contexts, std::span<const BinEntry> run);

}  // namespace nnr
