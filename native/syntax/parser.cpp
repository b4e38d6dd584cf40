// SPDX-License-Identifier: Apache-2.0
#include "parser.hpp"

#include <cstring>

namespace nnr::syntax {

namespace {

// Stages of 7.1: the elements of a unit's frame come before all others.
nnr_stage stage_of(ElementId element) {
  return element <= ElementId::partial_data_counter ? NNR_STAGE_FRAMING : NNR_STAGE_HEADER;
}

}  // namespace

std::uint32_t Parser::peek(unsigned n_bits) const {
  if (n_bits == 0) return 0;
  const std::uint64_t first = position_ >> 3;
  const std::uint64_t last = (position_ + n_bits + 7) >> 3;  // at most 5 bytes
  std::uint64_t window = 0;
  for (std::uint64_t byte = first; byte < last; ++byte) window = window << 8 | data_[byte];
  window >>= 8 * last - (position_ + n_bits);
  return static_cast<std::uint32_t>(window & ((std::uint64_t{1} << n_bits) - 1));
}

bool Parser::take_bits(std::int64_t n_bits, std::uint32_t& value) {
  if (static_cast<std::uint64_t>(n_bits) > bits_left()) return truncated();
  value = peek(static_cast<unsigned>(n_bits));
  position_ += static_cast<std::uint64_t>(n_bits);
  return true;
}

bool Parser::take_bytes(std::uint8_t* bytes, int n_bytes) {
  if (8 * static_cast<std::uint64_t>(n_bytes) > bits_left()) return truncated();
  for (int i = 0; i < n_bytes; ++i, position_ += 8) bytes[i] = static_cast<std::uint8_t>(peek(8));
  return true;
}

bool Parser::read_u(ElementId element, std::int64_t n_bits, std::uint32_t& value) {
  begin(element);
  return take_bits(n_bits, value);
}

bool Parser::read_i(ElementId element, int n_bits, std::int32_t& value) {
  begin(element);
  std::uint32_t bits = 0;
  if (!take_bits(n_bits, bits)) return false;
  const auto half = std::int32_t{1} << (n_bits - 1);
  value = (static_cast<std::int32_t>(bits) ^ half) - half;
  return true;
}

std::uint64_t Parser::count_zeros() const {
  std::uint64_t at = position_;
  while (at < end_) {
    if ((at & 7) == 0 && end_ - at >= 8 && data_[at >> 3] == 0) {
      at += 8;
    } else if ((data_[at >> 3] >> (7 - (at & 7)) & 1) == 0) {
      ++at;
    } else {
      break;
    }
    if (at - position_ > 512) break;  // beyond any code
  }
  return at - position_;
}

bool Parser::take_exp_golomb(std::int64_t order, std::uint64_t& value) {
  constexpr std::uint64_t kLargest = UINT32_MAX;
  const std::uint64_t zeros = count_zeros();
  const std::uint64_t k = static_cast<std::uint64_t>(order);
  if (zeros + k > 32) return refuse(NNR_MALFORMED, "the Exp-Golomb code holds too large a value");
  if (2 * zeros + k + 1 > bits_left()) return truncated();
  position_ += zeros + 1;
  const auto n_bits = static_cast<unsigned>(zeros + k);
  value = (std::uint64_t{1} << n_bits) + peek(n_bits) - (std::uint64_t{1} << k);
  position_ += n_bits;
  return value <= kLargest || refuse(NNR_MALFORMED, "the Exp-Golomb code holds too large a value");
}

bool Parser::read_ue(ElementId element, std::int64_t order, std::uint32_t& value) {
  begin(element);
  std::uint64_t code = 0;
  if (!take_exp_golomb(order, code)) return false;
  value = static_cast<std::uint32_t>(code);
  return true;
}

bool Parser::read_ie(ElementId element, std::int64_t order, std::int64_t& value) {
  begin(element);
  std::uint64_t code = 0;
  if (!take_exp_golomb(order, code)) return false;
  value = (code & 1) != 0 ? static_cast<std::int64_t>((code + 1) >> 1) : -static_cast<std::int64_t>(code >> 1);
  return true;
}

bool Parser::take_wide_exp_golomb(int order, std::uint8_t* bytes, int n_bytes) {
  const std::uint64_t zeros = count_zeros();
  const auto k = static_cast<std::uint64_t>(order);
  const std::uint64_t n_bits = zeros + k;
  const std::uint64_t most = 8 * static_cast<std::uint64_t>(n_bytes);
  if (n_bits > most) return refuse(NNR_MALFORMED, "the Exp-Golomb code holds too large a value");
  if (zeros + 1 + n_bits > bits_left()) return truncated();
  position_ += zeros + 1;
  // The value is 2^n_bits + u(n_bits) - 2^k; `carry` is the bit above the bytes.
  for (std::uint64_t i = 0; i < n_bits; ++i, ++position_) {
    const std::uint64_t place = n_bits - 1 - i;
    if (peek(1) != 0) bytes[n_bytes - 1 - static_cast<int>(place >> 3)] |= static_cast<std::uint8_t>(1U << (place & 7));
  }
  bool carry = n_bits == most;
  if (!carry) bytes[n_bytes - 1 - static_cast<int>(n_bits >> 3)] |= static_cast<std::uint8_t>(1U << (n_bits & 7));
  int at = n_bytes - 1 - static_cast<int>(k >> 3);
  unsigned taken = 1U << (k & 7);
  for (; at >= 0 && taken != 0; --at) {
    const unsigned byte = bytes[at];
    bytes[at] = static_cast<std::uint8_t>(byte - taken);
    taken = byte < taken ? 1 : 0;
  }
  if (taken != 0) carry = false;
  return !carry || refuse(NNR_MALFORMED, "the Exp-Golomb code holds too large a value");
}

bool Parser::read_flt(ElementId element, Binary32& value) {
  begin(element);
  std::uint8_t bytes[4];
  if (!take_bytes(bytes, 4)) return false;
  value.bits = bytes[0] | static_cast<std::uint32_t>(bytes[1]) << 8 | static_cast<std::uint32_t>(bytes[2]) << 16 |
               static_cast<std::uint32_t>(bytes[3]) << 24;
  return true;
}

bool Parser::read_st(ElementId element, Bytes& value) {
  begin(element);
  const std::uint8_t* const text = data_ + (position_ >> 3);
  const std::uint64_t remaining = bits_left() >> 3;
  const bool bounded = limits.max_name_bytes < remaining;
  const std::uint64_t reach = bounded ? limits.max_name_bytes + 1 : remaining;
  const void* const zero = reach == 0 ? nullptr : std::memchr(text, 0, static_cast<std::size_t>(reach));
  if (zero == nullptr && bounded) return refuse(NNR_LIMIT, "the text is longer than max_name_bytes");
  if (zero == nullptr) return truncated();
  const auto length = static_cast<std::size_t>(static_cast<const std::uint8_t*>(zero) - text);
  value = {text, length};
  position_ += 8 * (std::uint64_t{length} + 1);
  return is_utf8(value) || refuse(NNR_MALFORMED, "the text is not UTF-8");
}

bool Parser::read_bs(ElementId element, Bytes& value) {
  begin(element);
  value = {data_ + (position_ >> 3), static_cast<std::size_t>(bits_left() >> 3)};
  position_ = end_;
  return true;
}

bool Parser::read_byte_alignment(ElementId element, std::uint32_t& value) {
  begin(element);
  const auto n_bits = 8 - static_cast<unsigned>(position_ & 7);
  if (!take_bits(n_bits, value)) return false;
  return value == 1U << (n_bits - 1) || refuse(NNR_MALFORMED, "the alignment is not a one and zeros");
}

bool Parser::read_unsupported(ElementId element) {
  begin(element);
  return refuse(NNR_UNSUPPORTED, "the syntax of this table is not known");
}

bool Parser::refuse(nnr_status status, const char* text) {
  fault = {status, stage_of(element_), start_, element_name(element_), element_clause(element_), text};
  return false;
}

bool Parser::refuse_earlier(nnr_status status, Watch earlier, const char* text) {
  fault_watch = earlier;
  fault = {status, stage_of(earlier.element), start_, element_name(earlier.element), element_clause(earlier.element), text};
  return false;
}

bool Parser::expect_end() {
  if (bits_left() == 0) return true;
  fault = {NNR_MALFORMED, NNR_STAGE_HEADER,
           position_,     element_name(ElementId::nnr_unit_size),
           "format 2",    "bytes follow the unit's last element"};
  return false;
}

bool is_utf8(Bytes text) {
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = text[i];
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() - i < length) return false;
    // The second byte bounds overlong forms, surrogates and what lies above U+10FFFF.
    const unsigned second = text[i + 1];
    const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (second < low || second > high) return false;
    for (std::size_t j = 2; j < length; ++j)
      if ((text[i + j] & 0xC0) != 0x80) return false;
    i += length;
  }
  return true;
}

}  // namespace nnr::syntax
