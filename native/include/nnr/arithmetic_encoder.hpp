// SPDX-License-Identifier: Apache-2.0
// The binary arithmetic encoder. It owns the codeword that it writes.
// Clause: format 5.1.
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "nnr/bin_run.hpp"
#include "nnr/fast_context.hpp"
#include "nnr/inline.hpp"
#include "nnr/tables.hpp"

namespace nnr {

class ArithmeticEncoder {
 public:
  void encode(FastContext& context, bool bin) {
    assert(range_ >= kRestartRange && range_ <= kInitialRange);
    const FastContext::Estimates estimates = context.estimates();
    const auto lps = static_cast<std::uint32_t>(context.lps(std::uint64_t{range_} << detail::kRangeShift) >> detail::kRangeShift);
    const std::uint32_t mps_range = range_ - lps;
    if (bin == (estimates.state() >= 0)) {
      range_ = mps_range;
      if (mps_range < kRestartRange) shift(1);
    } else {
      low_ += mps_range;
      range_ = lps;
      shift(std::countl_zero(lps) - (32 - kRangeBits));
    }
    context.update(estimates, bin ? 1 : 0);
  }

  // Encodes a run with the interval in registers and no branch on the value of a bin. `contexts` holds a context for every index
  // in the run. Kernels are compiled from this body; call nnr::encode_run to select one.
  NNR_INLINE void encode_run(FastContext* contexts, std::span<const BinEntry> run) {
    std::uint64_t low = low_;
    std::uint64_t range = range_;
    int pending = pending_;
    const auto store = [&] {
      low_ = low;
      range_ = static_cast<std::uint32_t>(range);
      pending_ = pending;
    };
    const auto reload = [&] {
      low = low_;
      pending = pending_;
    };
    for_each_bin(
        run,
        [&](std::size_t index, std::size_t bin) {
          FastContext& context = contexts[index];
          const FastContext::Estimates estimates = context.estimates();
          const std::uint64_t lps = context.lps(range << detail::kRangeShift) >> detail::kRangeShift;
          const std::uint64_t mps_range = range - lps;
          // All ones for the less probable symbol: where the state's sign and the bin agree.
          const std::uint64_t less_probable = static_cast<std::uint64_t>(estimates.state() >> 63) ^ (bin - 1);
          low += mps_range & less_probable;
          range = mps_range ^ ((mps_range ^ lps) & less_probable);
          const int bits = std::countl_zero(static_cast<std::uint32_t>(range)) - (32 - kRangeBits);
          range <<= bits;
          low <<= bits;
          pending += bits;
          context.update(estimates, bin);
          if (pending >= kFlushAt) [[unlikely]] {
            store();
            flush_bytes();
            reload();
          }
        },
        [&](std::uint32_t value, int count) {
          store();
          encode_bypass_bins(value, count);
          reload();
        });
    store();
  }

  void encode_bypass(bool bin) { encode_bypass_bins(bin ? 1 : 0, 1); }

  // Encodes `count` bypass bins, 0..32, the first one most significant.
  void encode_bypass_bins(std::uint32_t bins, int count) {
    assert(count >= 0 && count <= 32);
    while (count > 0) {
      const int taken = count < kMaxShift ? count : kMaxShift;
      count -= taken;
      low_ = (low_ << taken) + ((bins >> count) & ((1U << taken) - 1U)) * std::uint64_t{range_};
      pending_ += taken;
      if (pending_ >= kFlushAt) flush_bytes();
    }
  }

  // Starts a block row (format 5.5).
  void restart_range() { range_ = kRestartRange; }

  // Writes the terminating bin 1, the stop bit and zero padding. Nothing may be encoded afterwards.
  void finish() {
    low_ += range_ - 2;
    range_ = 2;
    shift(7);
    // Before that shift the decoder had read down to what is now bit 7: the stop bit. Any value there lies in the interval.
    low_ |= 1U << 7;
    flush_bytes();
    const int tail_bits = pending_ + 2;  // bits of low_ from the stop bit up, 2..9 of them
    const std::uint64_t tail = (low_ >> 7) << (16 - tail_bits);
    bytes_.push_back(static_cast<std::uint8_t>(tail >> 8));
    if (tail_bits > 8) bytes_.push_back(static_cast<std::uint8_t>(tail));
    pending_ = 0;
  }

  // Bits shifted out so far. It is the position of format 5.5, at which the next kRangeBits bits make up the offset.
  [[nodiscard]] std::uint64_t position() const { return 8 * bytes_.size() + static_cast<std::uint64_t>(pending_); }
  // The low end of the interval modulo 2^kRangeBits: an entry point's offset is the codeword's distance from it.
  [[nodiscard]] std::uint32_t low_bits() const { return static_cast<std::uint32_t>(low_ & ((1U << kRangeBits) - 1)); }
  [[nodiscard]] std::uint32_t range() const { return range_; }

  [[nodiscard]] const std::vector<std::uint8_t>& bytes() const { return bytes_; }
  [[nodiscard]] std::vector<std::uint8_t>&& take_bytes() { return std::move(bytes_); }

 private:
  static constexpr int kFlushAt = 40;  // low_ then never needs more than 9 + 39 + 8 + 1 bits
  static constexpr int kMaxShift = 8;  // no step shifts by more

  void shift(int bits) {
    range_ <<= bits;
    low_ <<= bits;
    pending_ += bits;
    if (pending_ >= kFlushAt) flush_bytes();
  }

  // Moves whole bytes above low's range bits to the output, and propagates a carry into the bytes before them.
  void flush_bytes() {
    if ((low_ >> (kRangeBits + pending_)) != 0) {
      for (std::size_t i = bytes_.size(); i > 0; --i)
        if (++bytes_[i - 1] != 0) break;
      low_ &= (1ULL << (kRangeBits + pending_)) - 1;
    }
    while (pending_ >= 8) {
      pending_ -= 8;
      bytes_.push_back(static_cast<std::uint8_t>(low_ >> (kRangeBits + pending_)));
      low_ &= (1ULL << (kRangeBits + pending_)) - 1;
    }
  }

  std::vector<std::uint8_t> bytes_;
  std::uint64_t low_ = 0;
  std::uint32_t range_ = kInitialRange;
  int pending_ = 0;  // bits of low_ above its range bits and below a possible carry
};

}  // namespace nnr
