// SPDX-License-Identifier: Apache-2.0
#include "carrier.hpp"

#include <algorithm>
#include <bit>
#include <string_view>

#include "data_unit.hpp"
#include "generated/elements.hpp"
#include "inflate.hpp"
#include "parser.hpp"

namespace nnr {

using syntax::Bytes;

namespace {

constexpr std::string_view kMagic = "NNRC", kText = "NNRC7:", kDeflatedText = "NNRC7Z:";
constexpr std::size_t kHeaderBytes = 26;
// NumPy computes strides even of arrays without elements.
constexpr std::uint64_t kMaxStrides = std::uint64_t{1} << 48;

bool starts_with(Bytes octets, std::string_view text) {
  return octets.size() >= text.size() && std::equal(text.begin(), text.end(), octets.begin());
}

enum class TextFault : std::uint8_t { kNone, kCharacter, kMemory };

// Decodes 7-bit characters, most significant bits first; U+0080 is the character zero.
TextFault decode_text(Bytes text, const nnr_allocator& allocator, Buffer<std::uint8_t>& octets) {
  std::uint64_t n_characters = text.size();
  for (const std::uint8_t character : text) n_characters -= character == 0xC2 ? 1 : 0;
  if (!octets.allocate(allocator, 7 * n_characters / 8)) return TextFault::kMemory;
  std::uint32_t bits = 0;
  unsigned n_bits = 0;
  std::size_t n_octets = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned septet = text[i];
    if (septet == 0xC2 && i + 1 < text.size() && text[i + 1] == 0x80) septet = 0, ++i;
    if (septet > 127) return TextFault::kCharacter;
    bits = bits << 7 | septet;
    n_bits += 7;
    if (n_bits < 8) continue;
    n_bits -= 8;
    octets[n_octets++] = static_cast<std::uint8_t>(bits >> n_bits);
  }
  return TextFault::kNone;
}

bool read_header(Bytes octets, CarrierPiece& piece) {
  if (octets.size() < kHeaderBytes || !starts_with(octets, kMagic)) return false;
  const std::size_t tag_bytes = octets[6], n_dimensions = octets[7];
  const auto name_bytes = static_cast<std::size_t>(little_endian(octets.subspan(8, 2)));
  if (octets[4] < 1 || octets[4] > static_cast<int>(CarriedKind::kPatch)) return false;
  piece.kind = static_cast<CarriedKind>(octets[4]);
  piece.shuffle_width = octets[5];
  if (!std::has_single_bit(piece.shuffle_width) || piece.shuffle_width > 16) return false;
  piece.offset = little_endian(octets.subspan(10, 8));
  piece.total = little_endian(octets.subspan(18, 8));
  octets = octets.subspan(kHeaderBytes);
  if (octets.size() < name_bytes + tag_bytes + 8 * n_dimensions) return false;
  piece.name = octets.first(name_bytes);
  piece.tag = octets.subspan(name_bytes, tag_bytes);
  piece.shape = octets.subspan(name_bytes + tag_bytes, 8 * n_dimensions);
  piece.shuffled = octets.subspan(name_bytes + tag_bytes + 8 * n_dimensions);
  if (!syntax::is_utf8(piece.name) || !syntax::is_utf8(piece.tag) || piece.shuffled.size() % piece.shuffle_width != 0)
    return false;
  std::uint64_t strides = 1;
  for (std::size_t i = 0; i < piece.shape.size(); i += 8)
    strides = saturating_product(strides, std::max<std::uint64_t>(1, little_endian(piece.shape.subspan(i, 8))));
  return strides <= kMaxStrides;
}

template <std::size_t kWidth>
void unshuffle_elements(Bytes shuffled, std::uint8_t* to) {
  const std::size_t n_elements = shuffled.size() / kWidth;
  for (std::size_t i = 0; i < n_elements; ++i)
    for (std::size_t plane = 0; plane < kWidth; ++plane) to[i * kWidth + plane] = shuffled[plane * n_elements + i];
}

}  // namespace

std::uint64_t little_endian(Bytes octets) {
  std::uint64_t value = 0;
  for (std::size_t i = octets.size(); i > 0; --i) value = value << 8 | octets[i - 1];
  return value;
}

Fault carrier_fault(CarrierResult result, std::uint64_t bit_offset) {
  if (result.status == NNR_OK) return {};
  return {result.status, NNR_STAGE_HEADER, bit_offset, syntax::element_name(syntax::ElementId::topology_data),
          "format 2",    result.text};
}

bool is_carrier(Bytes topology_data) { return starts_with(topology_data, kMagic); }

CarrierResult read_piece(Bytes topology_data, std::uint64_t max_topology_bytes, const nnr_allocator& allocator,
                         Buffer<std::uint8_t>& characters, Buffer<std::uint8_t>& text, CarrierPiece& piece) {
  const bool is_deflated = starts_with(topology_data, kDeflatedText);
  if (is_deflated || starts_with(topology_data, kText)) {
    const TextFault fault =
        decode_text(topology_data.subspan(is_deflated ? kDeflatedText.size() : kText.size()), allocator, characters);
    if (fault == TextFault::kMemory) return {NNR_MEMORY, "out of memory"};
    if (fault == TextFault::kCharacter) return {NNR_MALFORMED, "the text of a carrier unit has characters beyond 7 bits"};
    topology_data = {characters.data(), characters.size()};
  }
  if (is_deflated) {
    const InflateResult result = inflate_content(topology_data, max_topology_bytes, allocator, &text);
    if (result.status != NNR_OK) return {result.status, result.text};
    topology_data = {text.data(), text.size()};
  }
  if (!read_header(topology_data, piece)) return {NNR_MALFORMED, "a carrier unit cannot be read"};
  return {};
}

void unshuffle(const CarrierPiece& piece, std::uint8_t* to) {
  switch (piece.shuffle_width) {
    case 1:
      std::copy(piece.shuffled.begin(), piece.shuffled.end(), to);
      return;
    case 2:
      return unshuffle_elements<2>(piece.shuffled, to);
    case 4:
      return unshuffle_elements<4>(piece.shuffled, to);
    case 8:
      return unshuffle_elements<8>(piece.shuffled, to);
    default:
      return unshuffle_elements<16>(piece.shuffled, to);
  }
}

}  // namespace nnr
