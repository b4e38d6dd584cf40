// SPDX-License-Identifier: Apache-2.0
#include "nnr/payload.hpp"

#include <algorithm>
#include <cassert>

#include "nnr/arithmetic_encoder.hpp"
#include "nnr/decoder_source.hpp"
#include "nnr/dependent_quantization.hpp"
#include "nnr/encoder_sink.hpp"
#include "nnr/fast_source.hpp"

namespace nnr {

namespace {

template <class Source>
Status decode_from(Source& source, std::span<const std::uint8_t> payload, std::span<const TensorCoding> codings,
                   std::span<std::int32_t* const> levels, std::span<TensorSideData> side) {
  assert(!codings.empty() && levels.size() == codings.size() && side.size() == codings.size());
  const auto status = [&](Outcome outcome, std::size_t tensor) {
    return Status{outcome, source.bits_read(), static_cast<std::uint32_t>(tensor)};
  };
  if (!offset_in_range(source)) return status(payload.size() < 2 ? Outcome::kTruncated : Outcome::kOffsetAboveRange, 0);
  for (std::size_t i = 0; i < codings.size(); ++i) {
    TensorDecoder decoder(source, codings[i]);
    if (const Outcome outcome = decoder.decode(levels[i], side[i]); outcome != Outcome::kOk) return status(outcome, i);
  }
  return status(finish_decoding(source, payload), codings.size() - 1);
}

}  // namespace

Status decode_payload(std::span<const std::uint8_t> payload, std::span<const TensorCoding> codings,
                      std::span<std::int32_t* const> levels, std::span<TensorSideData> side) {
  FastSource source{payload};
  return decode_from(source, payload, codings, levels, side);
}

Status decode_payload_reference(std::span<const std::uint8_t> payload, std::span<const TensorCoding> codings,
                                std::span<std::int32_t* const> levels, std::span<TensorSideData> side) {
  DecoderSource source{ArithmeticDecoder(payload)};
  return decode_from(source, payload, codings, levels, side);
}

Status encode_payload(std::span<const TensorCoding> codings, std::span<const std::int32_t* const> levels,
                      std::span<const TensorChoices> choices, EncodedPayload& encoded) {
  assert(!codings.empty() && levels.size() == codings.size() && choices.size() == codings.size());
  constexpr std::uint32_t kOffsetMask = (1U << kRangeBits) - 1;
  EncoderSink sink;
  std::vector<std::vector<std::uint32_t>> lows(codings.size());
  encoded.block_row_starts.assign(codings.size(), {});
  for (std::size_t i = 0; i < codings.size(); ++i) {
    TensorEncoder encoder(sink, codings[i]);
    std::uint64_t failed_at = 0;
    const Outcome outcome = encoder.encode(levels[i], choices[i], failed_at, [&](int state) {
      encoded.block_row_starts[i].push_back({sink.engine().position(), 0, state});
      lows[i].push_back(sink.engine().low_bits());
    });
    if (outcome != Outcome::kOk) return {outcome, failed_at, static_cast<std::uint32_t>(i)};
  }
  encoded.bytes = sink.finish();
  // A decoder's offset at each start is the distance of the codeword from low, and depends on the bits that follow the start.
  const auto offset_bits_at = [&](std::uint64_t position) {
    std::uint32_t bits = 0;
    for (std::uint64_t byte = position >> 3; byte < (position >> 3) + 3; ++byte)
      bits = bits << 8 | (byte < encoded.bytes.size() ? encoded.bytes[byte] : 0U);
    return bits >> (24 - kRangeBits - (position & 7)) & kOffsetMask;
  };
  for (std::size_t i = 0; i < codings.size(); ++i)
    for (std::size_t j = 0; j < lows[i].size(); ++j) {
      BlockRowStart& start = encoded.block_row_starts[i][j];
      start.offset = (offset_bits_at(start.position) - lows[i][j]) & kOffsetMask;
    }
  return {};
}

std::vector<std::uint8_t> find_zero_rows(const TensorCoding& coding, const std::int32_t* levels) {
  // In block scans a skipped row advances the state by its whole width at each of its segments, but coding it advances the state
  // by the segment's length. They agree when both are multiples of kZeroCycle.
  if (!coding.has_row_skip_flag() || (coding.dependent && coding.block_side() > 0 && coding.width % kZeroCycle != 0)) return {};
  std::vector<std::uint8_t> flags(coding.rows);
  bool any = false;
  for (std::uint64_t row = 0; row < coding.rows; ++row) {
    const std::int32_t* begin = levels + row * coding.width;
    flags[row] = std::all_of(begin, begin + coding.width, [](std::int32_t level) { return level == 0; }) ? 1 : 0;
    any = any || flags[row] != 0;
  }
  if (!any) flags.clear();
  return flags;
}

}  // namespace nnr
