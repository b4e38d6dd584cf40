// SPDX-License-Identifier: Apache-2.0
// Places of entries by a hash of their keys: open addressing, linear probing. The keys stay with the caller.
#pragma once

#include <algorithm>
#include <cstdint>

#include "nnr/memory.hpp"

namespace nnr {

class HashIndex {
 public:
  static constexpr std::size_t kAbsent = SIZE_MAX;

  // Hashes differ from object to object, so that no stream can be made whose keys collide.
  [[nodiscard]] std::uint64_t hash(std::uint64_t key) const {
    // The finaliser of SplitMix64. Source: Steele, Lea, Flood, OOPSLA 2014.
    std::uint64_t x = key + reinterpret_cast<std::uintptr_t>(this) * 0x9E3779B97F4A7C15U;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9U;
    x = (x ^ x >> 27) * 0x94D049BB133111EBU;
    return x ^ x >> 31;
  }
  [[nodiscard]] std::uint64_t hash(const void* bytes, std::size_t n_bytes) const {
    std::uint64_t value = hash(n_bytes);
    const auto* const at = static_cast<const std::uint8_t*>(bytes);
    for (std::size_t i = 0; i < n_bytes; ++i) value = hash(value ^ at[i]);
    return value;
  }

  // Place of the entry whose key has this hash and for which equal(place) holds.
  template <class Equal>
  [[nodiscard]] std::size_t find(std::uint64_t hash, Equal&& equal) const {
    const std::size_t at = slot_of(hash, equal);
    return at == kAbsent ? kAbsent : slots_[at].place;
  }

  // Sets the place of a key; another entry of the same key gives way to it. False when there is no memory.
  template <class Equal>
  [[nodiscard]] bool set(const nnr_allocator& allocator, std::uint64_t hash, std::size_t place, Equal&& equal) {
    if (const std::size_t at = slot_of(hash, equal); at != kAbsent) {
      slots_[at].place = place;
      return true;
    }
    if (2 * (count_ + 1) > slots_.size()) {
      Buffer<Slot> grown;
      if (!grown.allocate(allocator, slots_.size() == 0 ? 64 : std::uint64_t{2} * slots_.size())) return false;
      std::fill(grown.begin(), grown.end(), Slot{});
      for (const Slot& slot : slots_)
        if (slot.place != kAbsent) insert(grown, slot);
      slots_ = std::move(grown);
    }
    insert(slots_, {hash, place});
    ++count_;
    return true;
  }

  void clear() {
    slots_.clear();
    count_ = 0;
  }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::size_t place = kAbsent;
  };

  template <class Equal>
  [[nodiscard]] std::size_t slot_of(std::uint64_t hash, Equal&& equal) const {
    if (slots_.size() == 0) return kAbsent;
    for (std::size_t at = static_cast<std::size_t>(hash) & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].place == kAbsent) return kAbsent;
      if (slots_[at].hash == hash && equal(slots_[at].place)) return at;
    }
  }
  static void insert(Buffer<Slot>& slots, const Slot& slot) {
    std::size_t at = static_cast<std::size_t>(slot.hash) & (slots.size() - 1);
    while (slots[at].place != kAbsent) at = (at + 1) & (slots.size() - 1);
    slots[at] = slot;
  }

  Buffer<Slot> slots_;  // a power of two, or none
  std::size_t count_ = 0;
};

}  // namespace nnr
