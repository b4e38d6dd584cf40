// SPDX-License-Identifier: Apache-2.0
// Types of tensor elements, and conversion of decoded values to them.
// Clause: format 3 (nnr_decompressed_data_format), docs/guide/carriers.md.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "nnr.h"

namespace nnr {

struct ElementType {
  char tag[8];  // in safetensors' spelling
  std::uint8_t n_bytes;
};

// The type of an nnr_type below NNR_OPAQUE.
[[nodiscard]] const ElementType& element_type(nnr_type type);

// The type of a tag; NNR_OPAQUE for any other text.
[[nodiscard]] nnr_type type_of_tag(std::string_view tag);

// Type and significant bits of an nnr_decompressed_data_format; 0 bits for the whole type.
struct OutputFormat {
  nnr_type type;
  std::uint8_t n_bits;
};
[[nodiscard]] OutputFormat output_format(std::uint32_t nnr_decompressed_data_format);

// Converts decoded values, float32 or int32, as NumPy does: floats are rounded to nearest even, finite values beyond the largest
// finite one become that one, and an integer type must hold the rounded values.
//
// values: `n_elements` of 4 bytes. `elements` may be the same memory if it has room for the wider of both types.
// n_bits: width of integers that are narrower than their type; 0 otherwise.
// Returns false where an integer type cannot hold a value.
[[nodiscard]] bool convert_elements(const void* values, bool are_integers, std::uint64_t n_elements, nnr_type type,
                                    unsigned n_bits, void* elements);

// Brings little-endian elements of a type into the byte order of the machine.
void to_native_order(std::span<std::uint8_t> content, nnr_type type);

}  // namespace nnr
