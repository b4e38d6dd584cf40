// SPDX-License-Identifier: Apache-2.0
// The binary arithmetic decoder. Never reads outside the given bytes: past their end it sees zero bits and counts them,
// and the caller asks overrun() often enough to stop early.
// Clause: format 5.1.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "nnr/context_model.hpp"

namespace nnr {

class ArithmeticDecoder {
 public:
  // Starts at the codeword's first bit. The bytes must outlive the decoder.
  explicit ArithmeticDecoder(std::span<const std::uint8_t> bytes)
      : begin_(bytes.data()), cursor_(bytes.data()), end_(bytes.data() + bytes.size()) {
    refill();
  }

  // Starts at an entry point (format 5.5): `position` + 9 bits are taken as read, and `offset` is what they amount to.
  ArithmeticDecoder(std::span<const std::uint8_t> bytes, std::uint64_t position, std::uint32_t offset)
      : begin_(bytes.data()), cursor_(bytes.data()), end_(bytes.data() + bytes.size()) {
    const std::uint64_t next_bit = position + kOffsetBits;
    const std::uint64_t whole = next_bit >> 3;
    const std::uint64_t size = bytes.size();
    cursor_ += whole < size ? whole : size;
    virtual_bytes_ = whole < size ? 0 : whole - size;
    range_ = 256;
    spare_ = 0;
    window_ = static_cast<std::uint64_t>(offset) << kOffsetShift;
    if (const unsigned used = next_bit & 7U; used != 0) {
      spare_ = static_cast<int>(8 - used);
      window_ |= (next_byte() & (0xFFULL >> used)) << (kOffsetShift - spare_);
    }
  }

  [[nodiscard]] bool decode(ContextModel& context) {
    const int state = context.state();
    const std::uint32_t lps = kRangeLps[(range_ & 0xE0U) + ContextModel::lps_column(state)];
    const std::uint32_t mps_range = range_ - lps;
    const std::uint64_t scaled = static_cast<std::uint64_t>(mps_range) << kOffsetShift;
    bool bin = state >= 0;
    if (window_ < scaled) [[likely]] {
      range_ = mps_range;
      if (mps_range < 256) consume(1);  // one bit is enough: mps_range is at least 128
    } else {
      bin = !bin;
      window_ -= scaled;
      range_ = lps;
      consume(std::countl_zero(lps) - (32 - kOffsetBits));
    }
    context.update(bin);
    return bin;
  }

  [[nodiscard]] bool decode_bypass() {
    window_ <<= 1;
    if (--spare_ < 0) refill();
    const std::uint64_t scaled = static_cast<std::uint64_t>(range_) << kOffsetShift;
    if (window_ < scaled) return false;
    window_ -= scaled;
    return true;
  }

  // `count` bypass bins, first one most significant; count is at most 32.
  [[nodiscard]] std::uint32_t decode_bypass_bins(int count) {
    std::uint32_t bins = 0;
    for (int i = 0; i < count; ++i) bins = 2 * bins + (decode_bypass() ? 1U : 0U);
    return bins;
  }

  // True when this is the end; then bits_read() counts up to and including the stop bit.
  [[nodiscard]] bool decode_terminate() {
    range_ -= 2;
    if (window_ >= static_cast<std::uint64_t>(range_) << kOffsetShift) return true;
    if (range_ < 256) consume(1);
    return false;
  }

  // A new block row (format 5.5). False when the offset does not fit, which no encoder's stream does.
  [[nodiscard]] bool restart_range() {
    range_ = 256;
    return window_ < (256ULL << kOffsetShift);
  }

  [[nodiscard]] std::uint64_t bits_read() const {
    return 8 * (static_cast<std::uint64_t>(cursor_ - begin_) + virtual_bytes_) - static_cast<std::uint64_t>(spare_);
  }
  [[nodiscard]] bool overrun() const {
    return virtual_bytes_ != 0 && bits_read() > 8 * static_cast<std::uint64_t>(end_ - begin_);
  }
  [[nodiscard]] std::uint32_t range() const { return range_; }
  [[nodiscard]] std::uint32_t offset() const { return static_cast<std::uint32_t>(window_ >> kOffsetShift); }

 private:
  static constexpr int kOffsetBits = 9;
  static constexpr int kOffsetShift = 54;  // leaves one bit above the offset, for doubling in a bypass bin

  void consume(int bits) {
    range_ <<= bits;
    window_ <<= bits;
    spare_ -= bits;
    if (spare_ < 0) refill();
  }

  [[nodiscard]] std::uint64_t next_byte() {
    if (cursor_ != end_) return *cursor_++;
    ++virtual_bytes_;
    return 0;
  }

  // Fills the window to at least 56 known bits. 9 + spare_ of them are there already, from bit 62 downwards.
  void refill() {
    const int known = kOffsetBits + spare_;
    if (end_ - cursor_ >= 8) {
      std::uint64_t word;
      std::memcpy(&word, cursor_, sizeof word);
      if constexpr (std::endian::native == std::endian::little) word = swap_bytes(word);
      window_ |= word >> (known + 1);  // a last partial byte lands here too; it is or-ed again, unchanged, next time
      const int bytes = (63 - known) >> 3;
      cursor_ += bytes;
      spare_ += 8 * bytes;
    } else {
      for (int at = 62 - known - 7; at >= 0; at -= 8, spare_ += 8) window_ |= next_byte() << at;
    }
  }

  [[nodiscard]] static std::uint64_t swap_bytes(std::uint64_t word) {
    word = ((word & 0x00FF00FF00FF00FFULL) << 8) | ((word >> 8) & 0x00FF00FF00FF00FFULL);
    word = ((word & 0x0000FFFF0000FFFFULL) << 16) | ((word >> 16) & 0x0000FFFF0000FFFFULL);
    return (word << 32) | (word >> 32);
  }

  const std::uint8_t* begin_;
  const std::uint8_t* cursor_;
  const std::uint8_t* end_;
  std::uint64_t window_ = 0;         // offset in bits 62..54, the codeword's following bits below
  std::uint64_t virtual_bytes_ = 0;  // zero bytes handed out past the end
  std::uint32_t range_ = 510;        // 256..510 between bins
  int spare_ = -kOffsetBits;         // known bits below the offset
};

}  // namespace nnr
