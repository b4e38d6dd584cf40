// SPDX-License-Identifier: Apache-2.0
// The binary arithmetic encoder, the mirror of ArithmeticDecoder.
// Clause: format 5.1.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "nnr/bin_run.hpp"
#include "nnr/context_model.hpp"
#include "nnr/fast_context.hpp"
#include "nnr/inline.hpp"

namespace nnr {

class ArithmeticEncoder {
 public:
  void encode(ContextModel& context, bool bin) {
    const int state = context.state();
    const std::uint32_t lps = kRangeLps[(range_ & 0xE0U) + ContextModel::lps_column(state)];
    range_ -= lps;
    if (bin == (state >= 0)) {
      if (range_ < 256) shift(1);
    } else {
      low_ += range_;
      range_ = lps;
      shift(std::countl_zero(lps) - (32 - kLowBits));
    }
    context.update(bin);
  }

  // The same with the context model of the fast decoder.
  void encode(FastContext& context, bool bin) {
    const FastContext::Estimates old = context.estimates();
    const auto lps = static_cast<std::uint32_t>(context.lps(std::uint64_t{range_} << detail::kRangeShift) >> detail::kRangeShift);
    const std::uint32_t mps_range = range_ - lps;
    if (bin == (old.state() >= 0)) {
      range_ = mps_range;
      if (mps_range < 256) shift(1);
    } else {
      low_ += mps_range;
      range_ = lps;
      shift(std::countl_zero(lps) - (32 - kLowBits));
    }
    context.update(old, bin ? 1 : 0);
  }

  // The same for a list of bins, without a branch for what a bin is: the interval stays in registers.
  NNR_INLINE void encode_run(FastContext* contexts, std::span<const BinEntry> run) {
    std::uint64_t low = low_;
    std::uint64_t range = range_;
    int pending = pending_;
    const auto put_back = [&] {
      low_ = low;
      range_ = static_cast<std::uint32_t>(range);
      pending_ = pending;
    };
    const auto take_again = [&] {
      low = low_;
      pending = pending_;
    };
    for_each_bin(
        run,
        [&](std::size_t index, std::size_t bin) {
          FastContext& context = contexts[index];
          const FastContext::Estimates old = context.estimates();
          const std::uint64_t lps = context.lps(range << detail::kRangeShift) >> detail::kRangeShift;
          const std::uint64_t mps_range = range - lps;
          // All ones for the less probable symbol: where the state's sign and the bin agree.
          const std::uint64_t less_probable = static_cast<std::uint64_t>(old.state() >> 63) ^ (bin - 1);
          low += mps_range & less_probable;
          range = mps_range ^ ((mps_range ^ lps) & less_probable);
          const int bits = std::countl_zero(static_cast<std::uint32_t>(range)) - (32 - kLowBits);
          range <<= bits;
          low <<= bits;
          pending += bits;
          context.update(old, bin);
          if (pending >= kFlushAt) [[unlikely]] {
            put_back();
            flush_bytes();
            take_again();
          }
        },
        [&](std::uint32_t value, int count) {
          put_back();
          encode_bypass_bins(value, count);
          take_again();
        });
    put_back();
  }

  void encode_bypass(bool bin) { encode_bypass_bins(bin ? 1 : 0, 1); }

  // `count` bypass bins, first one most significant; count is at most 32.
  void encode_bypass_bins(std::uint32_t bins, int count) {
    while (count > 0) {
      const int taken = count < kShiftedAtOnce ? count : kShiftedAtOnce;
      count -= taken;
      low_ = (low_ << taken) + ((bins >> count) & ((1U << taken) - 1U)) * std::uint64_t{range_};
      pending_ += taken;
      if (pending_ >= kFlushAt) flush_bytes();
    }
  }

  void restart_range() { range_ = 256; }

  // The terminating bin 1, the stop bit and zero padding. Nothing may be encoded afterwards.
  void finish() {
    low_ += range_ - 2;
    range_ = 2;
    shift(7);
    // Before that shift the decoder had read down to what is now bit 7: the stop bit. Any value there lies in the interval.
    low_ |= 1U << 7;
    flush_bytes();
    const int left = pending_ + 2;  // bits of low_ from the stop bit up, 2..9 of them
    const std::uint64_t tail = (low_ >> 7) << (16 - left);
    bytes_.push_back(static_cast<std::uint8_t>(tail >> 8));
    if (left > 8) bytes_.push_back(static_cast<std::uint8_t>(tail));
    pending_ = 0;
  }

  // Bits shifted out so far: the position of format 5.5, at which 9 more bits make up the offset.
  [[nodiscard]] std::uint64_t position() const { return 8 * bytes_.size() + static_cast<std::uint64_t>(pending_); }
  // The low end of the interval, modulo 2^9: what an entry point's offset is measured from.
  [[nodiscard]] std::uint32_t low_bits() const { return static_cast<std::uint32_t>(low_ & ((1U << kLowBits) - 1)); }

  [[nodiscard]] const std::vector<std::uint8_t>& bytes() const { return bytes_; }
  [[nodiscard]] std::vector<std::uint8_t>&& take_bytes() { return std::move(bytes_); }

 private:
  static constexpr int kLowBits = 9;
  static constexpr int kFlushAt = 40;       // low_ never needs more than 9 + 39 + 8 + 1 bits
  static constexpr int kShiftedAtOnce = 8;  // no bin shifts by more

  void shift(int bits) {
    range_ <<= bits;
    low_ <<= bits;
    pending_ += bits;
    if (pending_ >= kFlushAt) flush_bytes();
  }

  // Moves whole bytes above low's nine bits to the output, passing a carry on to the bytes already there.
  void flush_bytes() {
    if ((low_ >> (kLowBits + pending_)) != 0) {
      for (std::size_t i = bytes_.size(); i-- > 0 && ++bytes_[i] == 0;) {
      }
      low_ &= (1ULL << (kLowBits + pending_)) - 1;
    }
    while (pending_ >= 8) {
      pending_ -= 8;
      bytes_.push_back(static_cast<std::uint8_t>(low_ >> (kLowBits + pending_)));
      low_ &= (1ULL << (kLowBits + pending_)) - 1;
    }
  }

  std::vector<std::uint8_t> bytes_;
  std::uint64_t low_ = 0;
  std::uint32_t range_ = 510;
  int pending_ = 0;  // bits of low_ above its low nine, short of a possible carry
};

}  // namespace nnr
