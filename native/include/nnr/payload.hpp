// SPDX-License-Identifier: Apache-2.0
// The payload of one data unit: one codeword that holds one tensor or several.
// Clause: format 3 (payload) and 5.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nnr/status.hpp"
#include "nnr/tensor_coding.hpp"
#include "nnr/tensor_decoder.hpp"
#include "nnr/tensor_encoder.hpp"

namespace nnr {

// `levels[i]` and `side[i]` belong to `codings[i]`; levels[i] has room for codings[i].size() values. On failure the levels
// are whatever had been decoded.
Status decode_payload(std::span<const std::uint8_t> payload, std::span<const TensorCoding> codings,
                      std::span<std::int32_t* const> levels, std::span<TensorSideData> side);

// As decode_payload by the reference decoder, for tests and as the limit to measure against.
Status decode_payload_plainly(std::span<const std::uint8_t> payload, std::span<const TensorCoding> codings,
                              std::span<std::int32_t* const> levels, std::span<TensorSideData> side);

// Whether the first nine bits, which a source starts with, are an offset that the range holds: 510 and 511 are written by no
// encoder.
template <class Source>
bool starts_in_range(const Source& source) {
  return source.offset() < 510;
}

// Checks what must follow the last tensor: terminating bin, stop bit, zero padding, the end of the unit.
template <class Source>
Outcome finish_decoding(Source& source, std::span<const std::uint8_t> payload) {
  if (!source.terminate()) return source.overrun() ? Outcome::kTruncated : Outcome::kNoTermination;
  if (source.overrun()) return Outcome::kTruncated;
  const std::uint64_t bits = source.bits_read();
  const std::uint64_t last = (bits - 1) >> 3;
  const unsigned after = static_cast<unsigned>(8 * (last + 1) - bits);
  const unsigned tail = payload[last] & ((2U << after) - 1U);
  if (tail != 1U << after) return Outcome::kBadStopBit;
  return last + 1 == payload.size() ? Outcome::kOk : Outcome::kTrailingBytes;
}

struct EncodedPayload {
  std::vector<std::uint8_t> bytes;
  std::vector<std::vector<BlockRowStart>> block_row_starts;  // per tensor; empty with one block row
};

Status encode_payload(std::span<const TensorCoding> codings, std::span<const std::int32_t* const> levels,
                      std::span<const TensorChoices> choices, EncodedPayload& encoded);

// The initialisations that cost least for these levels, their own signalling included, in the order of TensorChoices.
Status search_initialisations(const TensorCoding& coding, const std::int32_t* levels, TensorChoices& choices);

// 1 for each row of zeros. Empty when there is none, or when skipping would lead dependent quantisation astray.
std::vector<std::uint8_t> find_zero_rows(const TensorCoding& coding, const std::int32_t* levels);

}  // namespace nnr
