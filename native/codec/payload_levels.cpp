// SPDX-License-Identifier: Apache-2.0
#include "payload_levels.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "nnr/dequantizer.hpp"
#include "nnr/lean_source.hpp"
#include "nnr/payload.hpp"

namespace nnr {

namespace {

struct OutcomeText {
  nnr_status status;
  const char* clause;
  const char* text;
};

OutcomeText text_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kTruncated:
      return {NNR_TRUNCATED, "format 5.1", "the codeword needs more bits than its unit has"};
    case Outcome::kLevelOverflow:
      return {NNR_MALFORMED, "format 5.3", "a level does not fit 32 bits"};
    case Outcome::kOffsetAboveRange:
      return {NNR_MALFORMED, "format 5.5", "an offset lies outside the range of the arithmetic decoder"};
    case Outcome::kNoTermination:
      return {NNR_MALFORMED, "format 3", "the terminating bin is 0"};
    case Outcome::kBadStopBit:
      return {NNR_MALFORMED, "format 5.1", "the stop bit or its padding is wrong"};
    case Outcome::kTrailingBytes:
      return {NNR_MALFORMED, "format 3", "bytes follow the end of the codeword"};
    default:
      return {NNR_MALFORMED, "format 5.3", "a level lies outside the codebook"};
  }
}

// The bit at fault where a codeword ends: the stop bit, which was read last, or the first padding bit that is 1.
std::uint64_t wrong_bit(std::span<const std::uint8_t> payload, std::uint64_t position) {
  const std::uint64_t stop = position - 1;
  const unsigned tail = payload[stop >> 3] & (0xFFU >> (stop & 7));
  const unsigned stop_bit = 0x80U >> (stop & 7);
  if ((tail & stop_bit) == 0) return stop;
  return (stop | 7) - static_cast<unsigned>(std::bit_width(tail & ~stop_bit)) + 1;
}

Fault fault_of(Outcome outcome, std::uint64_t position, std::span<const std::uint8_t> payload) {
  const OutcomeText text = text_of(outcome);
  // Bits past the end do not exist: the fault is at the first of them.
  position = std::min<std::uint64_t>(position, std::uint64_t{8} * payload.size());
  if (outcome == Outcome::kBadStopBit) position = wrong_bit(payload, position);
  if (outcome == Outcome::kTrailingBytes) position = (position + 7) & ~std::uint64_t{7};
  return {text.status, NNR_STAGE_PAYLOAD, position, "nnr_compressed_data_unit_payload", text.clause, text.text};
}

Fault of_tensor(std::size_t tensor, Fault fault) {
  fault.tensor = static_cast<std::int32_t>(tensor);
  return fault;
}

}  // namespace

Fault decode_levels_of(std::span<const std::uint8_t> payload, std::span<const TensorCoding> codings,
                       std::span<std::int32_t* const> levels, std::int32_t* qp_values, std::uint8_t* row_flags) {
  LeanSource source{payload};
  if (!offset_in_range(source))
    return of_tensor(
        0, fault_of(payload.size() < 2 ? Outcome::kTruncated : Outcome::kOffsetAboveRange, source.bits_read(), payload));
  for (std::size_t i = 0; i < codings.size(); ++i) {
    LeanSideData side;
    side.row_skip_flags.data = row_flags;
    LeanDecoder decoder(source, codings[i]);
    const Outcome outcome = decoder.decode(levels[i], side);
    if (outcome != Outcome::kOk) return of_tensor(i, fault_of(outcome, source.bits_read(), payload));
    qp_values[i] = side.qp_value;
  }
  const Outcome outcome = finish_decoding(source, payload);
  if (outcome == Outcome::kOk) return {};
  return of_tensor(codings.size() - 1, fault_of(outcome, source.bits_read(), payload));
}

bool are_in_codebook(std::span<const std::int32_t> levels, std::span<const std::int32_t> codebook, std::uint32_t zero) {
  const auto low = -static_cast<std::int64_t>(zero);
  const auto high = low + static_cast<std::int64_t>(codebook.size());
  return std::ranges::all_of(levels, [&](std::int32_t level) { return level >= low && level < high; });
}

void dequantize_in_place(std::int32_t* levels, std::uint64_t size, double step, std::span<const std::int32_t> codebook,
                         std::uint32_t zero) {
  if (codebook.empty()) return dequantize({levels, static_cast<std::size_t>(size)}, step, levels);
  for (std::uint64_t i = 0; i < size; ++i) {
    const std::int64_t entry = levels[i] + static_cast<std::int64_t>(zero);
    const auto value = static_cast<float>(double{static_cast<float>(step)} * codebook[static_cast<std::size_t>(entry)]);
    std::memcpy(levels + i, &value, sizeof value);
  }
}

void copy_raw_values(std::span<const std::uint8_t> payload, void* values) {
  if (payload.empty()) return;
  std::memcpy(values, payload.data(), payload.size());
  if constexpr (std::endian::native == std::endian::big) {
    auto* const bytes = static_cast<std::uint8_t*>(values);
    for (std::size_t i = 0; i < payload.size(); i += 4) std::reverse(bytes + i, bytes + i + 4);
  }
}

}  // namespace nnr
