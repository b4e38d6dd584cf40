// SPDX-License-Identifier: Apache-2.0
// ArithmeticDecoder's state and steps as a value: kernels copy it into locals, so that it lives in registers, and back.
// Same bits, same positions, same behaviour past the end as ArithmeticDecoder, which is the reference.
// Clause: format 5.1.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "nnr/fast_context.hpp"
#include "nnr/inline.hpp"

namespace nnr {

struct FastEngine {
  static constexpr int kOffsetBits = 9;
  static constexpr int kShift = detail::kRangeShift;  // the window holds the offset where ranges stand, and the next bits below
  // The marker among these bits: at least 8 spare ones, and a bin takes 7 at most.
  static constexpr std::uint64_t kEnough = (1ULL << (kShift - 8)) - 1;

  // Below the known bits stands a 1, the marker, then zeros: its place says how many there are, without a counter.
  std::uint64_t window = 1ULL << 63;
  std::uint64_t range = 510ULL << kShift;
  const std::uint8_t* cursor = nullptr;
  const std::uint8_t* end = nullptr;
  std::uint64_t virtual_bytes = 0;  // zero bytes handed out past the end

  explicit FastEngine(std::span<const std::uint8_t> bytes) : cursor(bytes.data()), end(bytes.data() + bytes.size()) { refill(); }

  // As one that has read to 9 bits behind `position`, all within the bytes, and has this offset.
  FastEngine(std::span<const std::uint8_t> bytes, std::uint64_t position, std::uint32_t offset)
      : window((std::uint64_t{offset} << 1 | 1U) << (kShift - 1)),
        cursor(bytes.data() + ((position + kOffsetBits) >> 3)),
        end(bytes.data() + bytes.size()) {
    if (const int passed = static_cast<int>((position + kOffsetBits) & 7); passed != 0) {
      // The rest of a byte takes the marker's place, and the marker follows it.
      const std::uint64_t rest = *cursor++ & (0xFFU >> passed);
      window ^= 1ULL << (kShift - 1);
      window |= (rest << 1 | 1U) << (kShift - 1 - (8 - passed));
    }
    replenish();
  }

  // Known bits below the offset.
  [[nodiscard]] NNR_INLINE int spare() const { return kShift - 1 - std::countr_zero(window); }

  // Puts as many whole bytes in the place of the marker as fit above bit 0; the marker follows them.
  NNR_INLINE void refill() {
    int marker = std::countr_zero(window);
    window ^= 1ULL << marker;
    if (end - cursor >= 8) [[likely]] {
      std::uint64_t word;
      std::memcpy(&word, cursor, sizeof word);
      if constexpr (std::endian::native == std::endian::little) word = swap_bytes(word);
      const int bits = marker & ~7;  // 8..56: at least the 8 that make a refill due, less than a word
      cursor += bits >> 3;
      word >>= 64 - bits;
      window |= (word << 1 | 1U) << (marker - bits);
      return;
    }
    for (; marker >= 8; marker -= 8) {
      if (cursor != end)
        window |= static_cast<std::uint64_t>(*cursor++) << (marker - 7);
      else
        ++virtual_bytes;
    }
    window |= 1ULL << marker;
  }

  NNR_INLINE void replenish() {
    if ((window & kEnough) == 0) [[unlikely]]
      refill();
  }

  // A regular bin. Where the more probable symbol is the rule, set kSkewed: halving the range is then rare enough to branch on;
  // elsewhere that branch is a coin toss and shifting by 0 or 1 is cheaper.
  template <bool kSkewed = false>
  NNR_INLINE bool decode(FastContext& context) {
    const std::uint64_t lps = context.lps(range);
    const std::uint64_t mps_range = range - lps;
    const FastContext::Estimates old = context.estimates();
    if (window < mps_range) [[likely]] {
      take_mps<kSkewed>(mps_range);
      return old.state() < 0 ? context.update<0>(old) : context.update<1>(old);
    }
    range = lps;
    window -= mps_range;
    renormalise();
    return old.state() < 0 ? context.update<1>(old) : context.update<0>(old);
  }

  // The same where neither symbol is the rule: no branch depends on the bin, nor on which symbol is the more probable.
  NNR_INLINE bool decode_even(FastContext& context) {
    const std::uint64_t lps = context.lps(range);
    const FastContext::Estimates old = context.estimates();
    const std::uint64_t more_probable = take_either(range - lps, lps);
    const std::uint64_t bin = (static_cast<std::uint64_t>(old.state() >> 63) ^ more_probable) & 1U;
    context.update(old, bin);
    return bin != 0;
  }

  template <bool kSkewed>
  NNR_INLINE void take_mps(std::uint64_t mps_range) {
    if constexpr (kSkewed) {
      range = mps_range;
      if (static_cast<std::int64_t>(mps_range) < 0) return;  // bit 63: 256 and more
      range <<= 1;
      window <<= 1;
    } else {
      const int shift = std::countl_zero(mps_range);  // 0 or 1: it is 128 at least
      range = mps_range << shift;
      window <<= shift;
    }
    replenish();
  }

  NNR_INLINE void renormalise() {
    const int bits = std::countl_zero(range);
    range <<= bits;
    window <<= bits;
    replenish();
  }

  // `count` bypass bins, first one most significant; count is at most 32. They are the quotient of the offset, `count` bits
  // longer, by the range.
  [[nodiscard]] NNR_INLINE std::uint32_t decode_bypass_bins(int count) {
    if (spare() < count) refill();
    const std::uint64_t length = range >> kShift;
    const std::uint64_t bins = (window >> (kShift - count)) / length;
    window = (window - ((bins * length) << (kShift - count))) << count;
    replenish();
    return static_cast<std::uint32_t>(bins);
  }

  [[nodiscard]] bool decode_terminate() {
    range -= 2ULL << kShift;
    if (window >= range) return true;
    renormalise();
    return false;
  }

  [[nodiscard]] bool restart_range() {
    range = 256ULL << kShift;
    return window < range;
  }

  [[nodiscard]] std::uint32_t range_length() const { return static_cast<std::uint32_t>(range >> kShift); }
  [[nodiscard]] std::uint32_t offset() const { return static_cast<std::uint32_t>(window >> kShift); }
  [[nodiscard]] std::uint64_t bits_read(const std::uint8_t* begin) const {
    return 8 * (static_cast<std::uint64_t>(cursor - begin) + virtual_bytes) - static_cast<std::uint64_t>(spare());
  }
  [[nodiscard]] NNR_INLINE bool overrun() const {
    return virtual_bytes != 0 && 8 * virtual_bytes > static_cast<std::uint64_t>(spare());
  }

 private:
  // Takes the symbol the window is in and returns all ones for the more probable one.
  NNR_INLINE std::uint64_t take_either(std::uint64_t mps_range, std::uint64_t lps) {
    std::uint64_t offset = window;
    std::uint64_t length = mps_range;
    std::uint64_t more_probable;
#if defined(__x86_64__) && defined(__GNUC__) && !defined(NNR_PORTABLE)
    // Written out because compilers make a branch of it, which would be a coin toss.
    asm("cmpq %[mps], %[offset]\n\tcmovaeq %[rest], %[offset]\n\tcmovaeq %[lps], %[length]\n\tsbbq %[taken], %[taken]"
        : [offset] "+&r"(offset), [length] "+&r"(length), [taken] "=&r"(more_probable)
        : [mps] "r"(mps_range), [rest] "r"(window - mps_range), [lps] "r"(lps)
        : "cc");
#else
    more_probable = 0 - static_cast<std::uint64_t>(offset < mps_range);
    offset -= mps_range & ~more_probable;
    length ^= (mps_range ^ lps) & ~more_probable;
#endif
    window = offset;
    range = length;
    renormalise();
    return more_probable;
  }

  static NNR_INLINE std::uint64_t swap_bytes(std::uint64_t word) {
    word = ((word & 0x00FF00FF00FF00FFULL) << 8) | ((word >> 8) & 0x00FF00FF00FF00FFULL);
    word = ((word & 0x0000FFFF0000FFFFULL) << 16) | ((word >> 16) & 0x0000FFFF0000FFFFULL);
    return (word << 32) | (word >> 32);
  }
};

}  // namespace nnr
