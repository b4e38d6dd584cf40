// SPDX-License-Identifier: Apache-2.0
// The fast form of ArithmeticDecoder: a value that kernels copy into locals, where it stays in registers, and back.
//
// Bins, positions and behaviour past the end equal those of ArithmeticDecoder, which is the reference.
// Clause: format 5.1.
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nnr/big_endian.hpp"
#include "nnr/fast_context.hpp"
#include "nnr/inline.hpp"
#include "nnr/processor.hpp"
#include "nnr/tables.hpp"

namespace nnr {

struct FastEngine {
  static constexpr int kShift = detail::kRangeShift;  // the offset stands in the same bits as ranges, the next bits below
  // Mask of the low window bits. The marker among them means at least 8 spare bits, and a bin consumes at most 7.
  static constexpr std::uint64_t kEnoughMask = (1ULL << (kShift - 8)) - 1;

  std::uint64_t range = std::uint64_t{kInitialRange} << kShift;  // kRestartRange..kInitialRange between bins, shifted
  // The range less the window: the offset, the known bits below it, a 1 (the marker) and zeros. The marker's place, which the
  // subtraction keeps, gives the number of known bits without a counter. Compared with the LPS range, the distance decides a bin
  // before the MPS range is known, and an LPS leaves it as it is.
  std::uint64_t distance = range - (1ULL << 63);
  const std::uint8_t* cursor = nullptr;
  const std::uint8_t* end = nullptr;
  std::uint64_t virtual_bytes = 0;  // zero bytes read past the end

  // Starts at the first bit of `bytes`, which must outlive the engine.
  explicit FastEngine(std::span<const std::uint8_t> bytes) : cursor(bytes.data()), end(bytes.data() + bytes.size()) {
    refill(63);
  }

  // Starts at an entry point: kRangeBits bits after `position` are read, all within the bytes, and make up `offset`, 0..255.
  FastEngine(std::span<const std::uint8_t> bytes, std::uint64_t position, std::uint32_t offset)
      : distance(range - ((std::uint64_t{offset} << 1 | 1U) << (kShift - 1))),
        cursor(bytes.data() + ((position + kRangeBits) >> 3)),
        end(bytes.data() + bytes.size()) {
    assert(position + kRangeBits <= 8 * std::uint64_t{bytes.size()} && offset < kRestartRange);
    if (const int n_consumed = static_cast<int>((position + kRangeBits) & 7); n_consumed != 0) {
      // The remaining bits of a partial byte replace the marker, and the marker follows them.
      const std::uint64_t rest = *cursor++ & (0xFFU >> n_consumed);
      distance += 1ULL << (kShift - 1);
      distance -= (rest << 1 | 1U) << (kShift - 1 - (8 - n_consumed));
    }
    replenish();
  }

  // Known bits below the offset.
  [[nodiscard]] NNR_INLINE int spare() const { return kShift - 1 - std::countr_zero(distance); }

  [[nodiscard]] NNR_INLINE std::uint64_t window() const { return range - distance; }

  // Replaces the marker by as many whole bytes as fit above bit 0; the marker follows them.
  NNR_INLINE void refill() { refill(std::countr_zero(distance)); }
  NNR_INLINE void refill(int marker) {
    distance += 1ULL << marker;
    if (end - cursor >= 8) [[likely]] {
      const int bits = marker & ~7;  // 8..56: a refill is due with 8 or more missing
      const std::uint64_t word = load_big_endian_64(cursor) >> (64 - bits);
      cursor += bits >> 3;
      distance -= (word << 1 | 1U) << (marker - bits);
      return;
    }
    for (; marker >= 8; marker -= 8) {
      if (cursor != end)
        distance -= static_cast<std::uint64_t>(*cursor++) << (marker - 7);
      else
        ++virtual_bytes;
    }
    distance -= 1ULL << marker;
  }

  NNR_INLINE void replenish() {
    if ((distance & kEnoughMask) == 0) [[unlikely]]
      refill();
  }

  // Decodes a regular bin. Set kSkewed where the more probable symbol is the rule: halving the range is then rare enough for a
  // branch. Elsewhere that branch is unpredictable, and shifting by 0 or 1 is cheaper.
  template <bool kSkewed = false>
  NNR_INLINE bool decode(FastContext& context) {
    const std::uint64_t lps = context.lps(range);
    const FastContext::Estimates estimates = context.estimates();
    if (distance > lps) [[likely]] {
      take_mps<kSkewed>(lps);
      return estimates.state() < 0 ? context.update<0>(estimates) : context.update<1>(estimates);
    }
    range = lps;
    renormalise();
    return estimates.state() < 0 ? context.update<1>(estimates) : context.update<0>(estimates);
  }

  // Decodes a regular bin without a branch on the bin or on the more probable symbol, for bins that nothing predicts.
  NNR_INLINE bool decode_branchless(FastContext& context) {
    const std::uint64_t lps = context.lps(range);
    const FastContext::Estimates estimates = context.estimates();
    const std::uint64_t more_probable = select_symbol(lps);
    const std::uint64_t bin = (static_cast<std::uint64_t>(estimates.state() >> 63) ^ more_probable) & 1U;
    context.update(estimates, bin);
    return bin != 0;
  }

  // Narrows the interval to the more probable symbol, for an LPS range of `lps`, and renormalises.
  template <bool kSkewed>
  NNR_INLINE void take_mps(std::uint64_t lps) {
    const std::uint64_t mps_range = range - lps;
    distance -= lps;
    if constexpr (kSkewed) {
      range = mps_range;
      if (static_cast<std::int64_t>(mps_range) < 0) return;  // bit 63 is set from kRestartRange up
      range <<= 1;
      distance <<= 1;
    } else {
      const int shift = std::countl_zero(mps_range);  // 0 or 1, as mps_range is at least 128
      range = mps_range << shift;
      distance <<= shift;
    }
    replenish();
  }

  NNR_INLINE void renormalise() {
    const int bits = std::countl_zero(range);
    range <<= bits;
    distance <<= bits;
    replenish();
  }

  // Decodes `count` bypass bins, 0..32, the first one most significant. They are the quotient of the offset, extended by `count`
  // bits, and the range.
  [[nodiscard]] NNR_INLINE std::uint32_t decode_bypass_bins(int count) {
    assert(count >= 0 && count <= 32);
    if (spare() < count) refill();
    const std::uint64_t length = range >> kShift;
    const std::uint64_t bins = (window() >> (kShift - count)) / length;
    distance = range - ((window() - ((bins * length) << (kShift - count))) << count);
    replenish();
    return static_cast<std::uint32_t>(bins);
  }

  // Decodes the terminating bin. After a 1, bits_read() counts up to and including the stop bit.
  [[nodiscard]] bool decode_terminate() {
    range -= 2ULL << kShift;
    distance -= 2ULL << kShift;
    if (window() >= range) return true;
    renormalise();
    return false;
  }

  // Starts a block row (format 5.5). Returns false when the offset is not below the range, which no encoder writes.
  [[nodiscard]] bool restart_range() {
    const std::uint64_t kept = window();
    range = std::uint64_t{kRestartRange} << kShift;
    distance = range - kept;
    return kept < range;
  }

  [[nodiscard]] std::uint32_t range_value() const { return static_cast<std::uint32_t>(range >> kShift); }
  [[nodiscard]] std::uint32_t offset() const { return static_cast<std::uint32_t>(window() >> kShift); }
  // `begin` is the first byte of the codeword.
  [[nodiscard]] std::uint64_t bits_read(const std::uint8_t* begin) const {
    return 8 * (static_cast<std::uint64_t>(cursor - begin) + virtual_bytes) - static_cast<std::uint64_t>(spare());
  }
  // True once bits past the end have entered the offset.
  [[nodiscard]] NNR_INLINE bool overrun() const {
    return virtual_bytes != 0 && 8 * virtual_bytes > static_cast<std::uint64_t>(spare());
  }

 private:
  // Narrows the interval to the symbol that the window lies in. Returns all ones for the more probable one.
  NNR_INLINE std::uint64_t select_symbol(std::uint64_t lps) {
    std::uint64_t rest = distance - lps;
    std::uint64_t length = range - lps;
    std::uint64_t more_probable;
#if NNR_X86_KERNELS
    // In assembly, because compilers turn the selection into a branch, which nothing predicts.
    asm("cmpq %[distance], %[lps]\n\tcmovaeq %[distance], %[rest]\n\tcmovaeq %[lps], %[length]\n\tsbbq %[taken], %[taken]"
        : [rest] "+&r"(rest), [length] "+&r"(length), [taken] "=&r"(more_probable)
        : [distance] "r"(distance), [lps] "r"(lps)
        : "cc");
#else
    more_probable = 0 - static_cast<std::uint64_t>(lps < distance);
    rest += lps & ~more_probable;
    length ^= (length ^ lps) & ~more_probable;
#endif
    distance = rest;
    range = length;
    renormalise();
    return more_probable;
  }
};

}  // namespace nnr
