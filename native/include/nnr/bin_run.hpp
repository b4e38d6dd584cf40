// SPDX-License-Identifier: Apache-2.0
// A run of bins: a buffer between the syntax of levels and the arithmetic coder.
//
// Levels are written to the run without a branch for each bin, so the coder's loop over the run has only branches of its own. A
// single loop over syntax and coding pays a mispredicted branch at almost every bin of unpredictable levels.
// Clause: format 5.2 and 5.3.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "nnr/inline.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

// A regular bin is the entry 2 * context + bin. Bypass bins are three entries: kBypassMark + their count (1..31), then the low
// and the high 16 bits of their value.
using BinEntry = std::uint16_t;
inline constexpr BinEntry kBypassMark = 0x8000;

// Calls regular(context, bin) or bypass(value, count) for the bins of a run, in order.
template <class Regular, class Bypass>
NNR_INLINE void for_each_bin(std::span<const BinEntry> run, Regular&& regular, Bypass&& bypass) {
  const BinEntry* const end = run.data() + run.size();
  for (const BinEntry* cursor = run.data(); cursor != end; ++cursor) {
    const BinEntry entry = *cursor;
    if (entry < kBypassMark) {
      regular(static_cast<std::size_t>(entry >> 1), static_cast<std::size_t>(entry & 1));
    } else {
      bypass(static_cast<std::uint32_t>(cursor[1] | cursor[2] << 16), entry - kBypassMark);
      cursor += 2;
    }
  }
}

// A run of fixed capacity. It holds levels of tensors without a codebook and without contexts from earlier updates.
class BinRun {
 public:
  [[nodiscard]] std::span<const BinEntry> entries() const { return {entries_.data(), size_}; }
  void clear() { size_ = 0; }

  // Writing starts at begin(), goes on with write_level() while has_room() holds, and ends with set_end().
  [[nodiscard]] BinEntry* begin() { return entries_.data() + size_; }
  [[nodiscard]] bool has_room(const BinEntry* end) const { return end <= entries_.data() + (kCapacity - kMaxLevelEntries); }
  void set_end(const BinEntry* end) {
    assert(end >= entries_.data() && end <= entries_.data() + kCapacity);
    size_ = static_cast<std::size_t>(end - entries_.data());
  }

  // Writes one coded value and returns the end of its entries. `negative` is 0 or 1, `magnitude` below 2^32, `state` the state
  // before the value, 0..7, and `previous` the sign class of the value before, 0..2.
  [[nodiscard]] NNR_INLINE static BinEntry* write_level(BinEntry* out, const ContextLayout& layout, std::size_t negative,
                                                        std::uint64_t magnitude, std::size_t state, std::size_t previous) {
    assert(negative < 2 && magnitude >> 32 == 0 && state < 8 && previous < 3);
    const auto unary = static_cast<std::uint64_t>(layout.unary);
    const std::size_t nonzero = magnitude != 0 ? 1 : 0;
    out[0] = static_cast<BinEntry>(2 * (ContextLayout::kSignificance + 3 * state + previous) + nonzero);
    out[1] = static_cast<BinEntry>(2 * (ContextLayout::kSign + previous) + negative);
    // Copies a fixed number of greater-than flags, all 1 and more than the level has. The last one becomes 0, unless an escape
    // follows.
    const BinEntry* const greater = kGreaterFlags[negative].data();
    std::memcpy(out + 2, greater, kCopyLength * sizeof(BinEntry));
    const std::uint64_t count = std::min(magnitude, unary);
    for (std::uint64_t j = kCopyLength; j < count; j += kCopyLength)
      std::memcpy(out + 2 + j, greater + j, kCopyLength * sizeof(BinEntry));
    // For a level of 0 this changes the sign's entry, which lies beyond the returned end.
    out[1 + count] = static_cast<BinEntry>(out[1 + count] - (magnitude <= unary ? 1 : 0));
    BinEntry* const end = out + 1 + nonzero + count;
    return magnitude > unary ? write_escape(end, layout, magnitude - unary - 1) : end;
  }

 private:
  static constexpr std::size_t kCapacity = 4096;
  static constexpr std::size_t kCopyLength = 16;
  static constexpr std::size_t kFlags = 256 + kCopyLength;
  static constexpr std::size_t kMaxLevelEntries = 2 + kFlags + ContextLayout::kPrefixCount + 3;

  // The entries of all greater-than flags, each 1, by sign.
  static constexpr std::array<std::array<BinEntry, kFlags>, 2> kGreaterFlags = [] {
    std::array<std::array<BinEntry, kFlags>, 2> flags{};
    for (std::size_t negative = 0; negative < 2; ++negative)
      for (std::size_t j = 0; j < kFlags; ++j)
        flags[negative][j] = static_cast<BinEntry>(2 * (ContextLayout::kGreater + 2 * j + negative) + 1);
    return flags;
  }();

  // Writes an Exp-Golomb code. `excess` is the magnitude less the smallest escaped magnitude.
  static BinEntry* write_escape(BinEntry* out, const ContextLayout& layout, std::uint64_t excess) {
    const auto prefix = static_cast<std::uint64_t>(layout.prefix());
    std::uint64_t k = 0;
    for (; k < ContextLayout::kPrefixCount && excess >= std::uint64_t{1} << k; ++k) {
      excess -= std::uint64_t{1} << k;
      *out++ = static_cast<BinEntry>(2 * (prefix + k) + 1);
    }
    if (k < ContextLayout::kPrefixCount) *out++ = static_cast<BinEntry>(2 * (prefix + k));
    if (k == 0) return out;
    *out++ = static_cast<BinEntry>(kBypassMark + k);
    *out++ = static_cast<BinEntry>(excess & 0xFFFFU);
    *out++ = static_cast<BinEntry>(excess >> 16);
    return out;
  }

  std::array<BinEntry, kCapacity> entries_;  // the first size_ entries hold bins; the rest is not initialised
  std::size_t size_ = 0;
};

}  // namespace nnr
