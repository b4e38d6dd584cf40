// SPDX-License-Identifier: Apache-2.0
// The payload of one data unit: one codeword that holds one tensor or several.
//
// In every call, element i of each span belongs to tensor i, and no span is empty. The caller owns all arrays.
// Clause: format 3 (payload) and 5.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nnr/status.hpp"
#include "nnr/tables.hpp"
#include "nnr/tensor_coding.hpp"
#include "nnr/tensor_decoder.hpp"
#include "nnr/tensor_encoder.hpp"

namespace nnr {

// Decodes a payload by the fast kernels. levels[i] has room for codings[i].size() values. On failure, levels and side data hold
// what was decoded before the fault.
Status decode_payload(std::span<const std::uint8_t> payload, std::span<const TensorCoding> codings,
                      std::span<std::int32_t* const> levels, std::span<TensorSideData> side);

// Decodes a payload by the reference decoder: for tests, and as a baseline of speed. Results equal decode_payload's.
Status decode_payload_reference(std::span<const std::uint8_t> payload, std::span<const TensorCoding> codings,
                                std::span<std::int32_t* const> levels, std::span<TensorSideData> side);

// True when the first kRangeBits bits, which a source has read after its construction, are an offset below the range. No encoder
// writes an offset of 510 or 511.
template <class Source>
bool offset_in_range(const Source& source) {
  return source.offset() < kInitialRange;
}

// Checks what follows the last tensor: the terminating bin, the stop bit, zero padding, and the end of the unit.
template <class Source>
Outcome finish_decoding(Source& source, std::span<const std::uint8_t> payload) {
  if (!source.terminate()) return source.overrun() ? Outcome::kTruncated : Outcome::kNoTermination;
  if (source.overrun()) return Outcome::kTruncated;
  const std::uint64_t bits = source.bits_read();
  const std::uint64_t last_byte = (bits - 1) >> 3;
  const auto padding_bits = static_cast<unsigned>(8 * (last_byte + 1) - bits);
  const unsigned tail = payload[last_byte] & ((2U << padding_bits) - 1U);
  if (tail != 1U << padding_bits) return Outcome::kBadStopBit;
  return last_byte + 1 == payload.size() ? Outcome::kOk : Outcome::kTrailingBytes;
}

struct EncodedPayload {
  std::vector<std::uint8_t> bytes;
  std::vector<std::vector<BlockRowStart>> block_row_starts;  // per tensor; empty with one block row
};

// Encodes levels[i], codings[i].size() values each, under choices[i].
Status encode_payload(std::span<const TensorCoding> codings, std::span<const std::int32_t* const> levels,
                      std::span<const TensorChoices> choices, EncodedPayload& encoded);

// Fills choices.initialisations with the cheapest initialisation of each context for these levels, its signalling included. The
// other choices are read. `sample` is about the number of levels to look at, in rows spread over the tensor; 0 for all, as always
// in block scans.
Status search_initialisations(const TensorCoding& coding, const std::int32_t* levels, std::uint64_t sample,
                              TensorChoices& choices);

// Returns a flag per row, 1 for rows of zeros. Empty when there are none, or when skipping rows would change the states of
// dependent quantisation.
[[nodiscard]] std::vector<std::uint8_t> find_zero_rows(const TensorCoding& coding, const std::int32_t* levels);

}  // namespace nnr
