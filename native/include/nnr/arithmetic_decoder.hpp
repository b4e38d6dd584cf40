// SPDX-License-Identifier: Apache-2.0
// The binary arithmetic decoder, reference form. FastEngine is the fast form of the same state machine.
//
// It never reads outside its bytes: past their end it reads zero bits and counts them. Callers must poll overrun() at bounded
// intervals to stop early.
// Clause: format 5.1.
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nnr/big_endian.hpp"
#include "nnr/context_model.hpp"
#include "nnr/tables.hpp"

namespace nnr {

class ArithmeticDecoder {
 public:
  // Starts at the first bit of `bytes`, which must outlive the decoder.
  explicit ArithmeticDecoder(std::span<const std::uint8_t> bytes)
      : begin_(bytes.data()), cursor_(bytes.data()), end_(bytes.data() + bytes.size()) {
    refill();
  }

  [[nodiscard]] bool decode(ContextModel& context) {
    assert(range_ >= kRestartRange && range_ <= kInitialRange);
    const int state = context.state();
    const std::uint32_t lps = ContextModel::lps_range(range_, state);
    const std::uint32_t mps_range = range_ - lps;
    const std::uint64_t scaled = static_cast<std::uint64_t>(mps_range) << kOffsetShift;
    bool bin = state >= 0;
    if (window_ < scaled) [[likely]] {
      range_ = mps_range;
      if (mps_range < kRestartRange) consume(1);  // one bit is enough: mps_range is at least 128
    } else {
      bin = !bin;
      window_ -= scaled;
      range_ = lps;
      consume(std::countl_zero(lps) - (32 - kRangeBits));
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

  // Decodes `count` bypass bins, 0..32, the first one most significant.
  [[nodiscard]] std::uint32_t decode_bypass_bins(int count) {
    assert(count >= 0 && count <= 32);
    std::uint32_t bins = 0;
    for (int i = 0; i < count; ++i) bins = 2 * bins + (decode_bypass() ? 1U : 0U);
    return bins;
  }

  // Decodes the terminating bin. After a 1, bits_read() counts up to and including the stop bit.
  [[nodiscard]] bool decode_terminate() {
    range_ -= 2;
    if (window_ >= static_cast<std::uint64_t>(range_) << kOffsetShift) return true;
    if (range_ < kRestartRange) consume(1);
    return false;
  }

  // Starts a block row (format 5.5). Returns false when the offset is not below the range, which no encoder writes.
  [[nodiscard]] bool restart_range() {
    range_ = kRestartRange;
    return window_ < (static_cast<std::uint64_t>(kRestartRange) << kOffsetShift);
  }

  [[nodiscard]] std::uint64_t bits_read() const {
    return 8 * (static_cast<std::uint64_t>(cursor_ - begin_) + virtual_bytes_) - static_cast<std::uint64_t>(spare_);
  }
  // True once bits past the end have entered the offset.
  [[nodiscard]] bool overrun() const {
    return virtual_bytes_ != 0 && bits_read() > 8 * static_cast<std::uint64_t>(end_ - begin_);
  }
  [[nodiscard]] std::uint32_t range() const { return range_; }
  [[nodiscard]] std::uint32_t offset() const { return static_cast<std::uint32_t>(window_ >> kOffsetShift); }

 private:
  static constexpr int kOffsetShift = 54;  // leaves one bit above the offset, for the doubling of a bypass bin

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

  // Fills the window to at least 56 known bits. It holds kRangeBits + spare_ of them, from bit 62 downwards.
  void refill() {
    const int known = kRangeBits + spare_;
    if (end_ - cursor_ >= 8) {
      // Bits of a last, partial byte are or-ed in as well; the next refill or-s the same bits again.
      window_ |= load_big_endian_64(cursor_) >> (known + 1);
      const int bytes = (63 - known) >> 3;
      cursor_ += bytes;
      spare_ += 8 * bytes;
    } else {
      for (int shift = 62 - known - 7; shift >= 0; shift -= 8, spare_ += 8) window_ |= next_byte() << shift;
    }
  }

  const std::uint8_t* begin_;
  const std::uint8_t* cursor_;
  const std::uint8_t* end_;
  std::uint64_t window_ = 0;             // the offset in bits 62..54, the codeword's next bits below
  std::uint64_t virtual_bytes_ = 0;      // zero bytes read past the end
  std::uint32_t range_ = kInitialRange;  // kRestartRange..kInitialRange between bins
  int spare_ = -kRangeBits;              // known bits below the offset; at least 0 between bins
};

}  // namespace nnr
