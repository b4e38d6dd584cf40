// SPDX-License-Identifier: Apache-2.0
// Bins in a list, from whole levels without a branch for each bin: what takes the list then has its own branches only.
// Levels that cannot be foreseen cost a mispredicted branch at every bin where structure and coding are one loop.
// Clause: format 5.2 and 5.3.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "nnr/inline.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

// A regular bin is 2 * context + bin. Bypass bins are kBypassMark + their count, 1..31, and two entries with their value.
using BinEntry = std::uint16_t;
inline constexpr BinEntry kBypassMark = 0x8000;

// Calls regular(context, bin) and bypass(value, count) for each entry of a run.
template <class Regular, class Bypass>
NNR_INLINE void for_each_bin(std::span<const BinEntry> run, Regular&& regular, Bypass&& bypass) {
  const BinEntry* const end = run.data() + run.size();
  for (const BinEntry* at = run.data(); at != end; ++at) {
    const BinEntry entry = *at;
    if (entry < kBypassMark) {
      regular(static_cast<std::size_t>(entry >> 1), static_cast<std::size_t>(entry & 1));
    } else {
      bypass(static_cast<std::uint32_t>(at[1] | at[2] << 16), entry - kBypassMark);
      at += 2;
    }
  }
}

// The list, and the levels that are written to it: those of tensors without a codebook and without contexts from earlier updates.
class BinRun {
 public:
  [[nodiscard]] std::span<const BinEntry> entries() const { return {entries_.data(), size_}; }
  void clear() { size_ = 0; }

  // Levels are written from begin() or where the last one ended, while there is_room() for another, until end_at().
  [[nodiscard]] BinEntry* begin() { return entries_.data() + size_; }
  [[nodiscard]] bool is_room(const BinEntry* end) const { return end <= entries_.data() + (kRoom - kMostOfLevel); }
  void end_at(const BinEntry* end) { size_ = static_cast<std::size_t>(end - entries_.data()); }

  // Returns where this coded level ends. `state` is the quantiser's before it, `previous` the sign class of the level before.
  [[nodiscard]] NNR_INLINE static BinEntry* write_level(BinEntry* out, const ContextLayout& layout, std::size_t negative,
                                                        std::uint64_t magnitude, std::size_t state, std::size_t previous) {
    const auto unary = static_cast<std::uint64_t>(layout.unary);
    const std::size_t nonzero = magnitude != 0 ? 1 : 0;
    out[0] = static_cast<BinEntry>(2 * (ContextLayout::kSignificance + 3 * state + previous) + nonzero);
    out[1] = static_cast<BinEntry>(2 * (ContextLayout::kSign + previous) + negative);
    // All the flags at once, and more of them than there are; the last is 0, unless an escape follows.
    const BinEntry* const greater = kGreaterFlags[negative].data();
    std::memcpy(out + 2, greater, kCopied * sizeof(BinEntry));
    const std::uint64_t count = std::min(magnitude, unary);
    for (std::uint64_t j = kCopied; j < count; j += kCopied) std::memcpy(out + 2 + j, greater + j, kCopied * sizeof(BinEntry));
    // For a level of 0 this changes the sign's entry, which is not taken.
    out[1 + count] = static_cast<BinEntry>(out[1 + count] - (magnitude <= unary ? 1 : 0));
    BinEntry* const end = out + 1 + nonzero + count;
    return magnitude > unary ? write_escape(end, layout, magnitude - unary - 1) : end;
  }

 private:
  static constexpr std::size_t kRoom = 4096;
  static constexpr std::size_t kCopied = 16;
  static constexpr std::size_t kFlags = 256 + kCopied;
  static constexpr std::size_t kMostOfLevel = 2 + kFlags + ContextLayout::kPrefixCount + 3;

  // By sign: the entries of all greater-than flags, each 1.
  static constexpr std::array<std::array<BinEntry, kFlags>, 2> kGreaterFlags = [] {
    std::array<std::array<BinEntry, kFlags>, 2> flags{};
    for (std::size_t negative = 0; negative < 2; ++negative)
      for (std::size_t j = 0; j < kFlags; ++j)
        flags[negative][j] = static_cast<BinEntry>(2 * (ContextLayout::kGreater + 2 * j + negative) + 1);
    return flags;
  }();

  // Exp-Golomb: `rest` is the magnitude less the smallest one that is escaped.
  static BinEntry* write_escape(BinEntry* out, const ContextLayout& layout, std::uint64_t rest) {
    const auto prefix = static_cast<std::uint64_t>(layout.prefix());
    std::uint64_t k = 0;
    for (; k < ContextLayout::kPrefixCount && rest >= std::uint64_t{1} << k; ++k) {
      rest -= std::uint64_t{1} << k;
      *out++ = static_cast<BinEntry>(2 * (prefix + k) + 1);
    }
    if (k < ContextLayout::kPrefixCount) *out++ = static_cast<BinEntry>(2 * (prefix + k));
    if (k == 0) return out;
    *out++ = static_cast<BinEntry>(kBypassMark + k);
    *out++ = static_cast<BinEntry>(rest & 0xFFFFU);
    *out++ = static_cast<BinEntry>(rest >> 16);
    return out;
  }

  std::array<BinEntry, kRoom> entries_;  // the first size_ hold bins
  std::size_t size_ = 0;
};

}  // namespace nnr
