// SPDX-License-Identifier: Apache-2.0
// Decoding of a whole stream into a model, on one thread or several.
#pragma once

#include <cstdint>
#include <span>

#include "fault.hpp"
#include "model.hpp"

namespace nnr {

// The first fault of a stream and the index of its unit.
struct LocatedFault {
  Fault fault;
  std::uint64_t unit = 0;
};

// Decodes all tensors into an empty model, under its options. With several threads each of them walks over all headers, and
// decodes the units that no other one has claimed; tensors and fault are those of one thread.
[[nodiscard]] LocatedFault decode_model(std::span<const std::uint8_t> stream, nnr_model& model);

// Moves the tensors of a model to another one, with weights in place of the low-rank factors and the local scalings that they are
// made from. False without memory.
[[nodiscard]] bool recompose(nnr_model& from, nnr_model& to);

}  // namespace nnr
