// SPDX-License-Identifier: Apache-2.0
// Carrier units: topology units that hold a piece of an item outside the codec's arithmetic.
// Source: docs/guide/carriers.md.
#pragma once

#include <cstdint>
#include <span>

#include "fault.hpp"
#include "nnr/memory.hpp"
#include "values.hpp"

namespace nnr {

enum class CarriedKind : std::uint8_t {
  kTensor = 1,
  kAttachment,
  kMetadata,
  kDescription,
  kTopology,
  kPosition,
  kPadding,
  kNames,
  kPatch
};

// A piece of an item. Its bytes are those of the unit, or of the memory that the text form was decoded into.
struct CarrierPiece {
  CarriedKind kind = CarriedKind::kPadding;
  unsigned shuffle_width = 1;
  std::uint64_t offset = 0;  // in the item
  std::uint64_t total = 0;   // bytes of the item
  syntax::Bytes name;
  syntax::Bytes tag;    // data type of a tensor, in its first piece only
  syntax::Bytes shape;  // its dimensions, 8 bytes each, little-endian
  syntax::Bytes shuffled;
};

struct CarrierResult {
  nnr_status status = NNR_OK;
  const char* text = "";
};

// The fault of a carrier unit, or none.
[[nodiscard]] Fault carrier_fault(CarrierResult result, std::uint64_t bit_offset);

// True for topology data that is a piece.
[[nodiscard]] bool is_carrier(syntax::Bytes topology_data);

// Reads a piece.
//
// characters, text: memory for the text form.
[[nodiscard]] CarrierResult read_piece(syntax::Bytes topology_data, std::uint64_t max_topology_bytes,
                                       const nnr_allocator& allocator, Buffer<std::uint8_t>& characters,
                                       Buffer<std::uint8_t>& text, CarrierPiece& piece);

// Copies the bytes of a piece in the item's order.
void unshuffle(const CarrierPiece& piece, std::uint8_t* to);

[[nodiscard]] std::uint64_t little_endian(syntax::Bytes octets);

}  // namespace nnr
