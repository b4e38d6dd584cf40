// SPDX-License-Identifier: Apache-2.0
// Places of tensors by name: a hash table with open addressing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "memory.hpp"
#include "nnr.h"

namespace nnr {

class NameIndex {
 public:
  static constexpr std::size_t kAbsent = SIZE_MAX;

  // Place of the tensor of this name among `tensors`.
  [[nodiscard]] std::size_t find(const Buffer<nnr_tensor>& tensors, const char* name, std::size_t n_bytes) const {
    if (slots_.size() == 0) return kAbsent;
    for (std::size_t at = hash(name, n_bytes);; ++at) {
      const std::size_t place = slots_[at & (slots_.size() - 1)];
      if (place == kAbsent) return kAbsent;
      if (tensors[place].name_bytes == n_bytes && std::memcmp(tensors[place].name, name, n_bytes) == 0) return place;
    }
  }

  // Adds the last of `tensors`, whose name is new. False when there is no memory.
  [[nodiscard]] bool add(const nnr_allocator& allocator, const Buffer<nnr_tensor>& tensors) {
    if (2 * tensors.size() > slots_.size()) {
      if (!slots_.allocate(allocator, std::max<std::uint64_t>(64, std::uint64_t{4} * tensors.size()))) return false;
      std::size_t size = 64;
      while (2 * size <= slots_.size()) size *= 2;
      slots_.truncate(size);
      std::fill(slots_.begin(), slots_.end(), kAbsent);
      for (std::size_t place = 0; place < tensors.size(); ++place) insert(tensors, place);
      return true;
    }
    insert(tensors, tensors.size() - 1);
    return true;
  }

 private:
  // FNV-1a. Source: RFC 9923.
  [[nodiscard]] static std::size_t hash(const char* name, std::size_t n_bytes) {
    std::uint64_t value = 0xcbf29ce484222325U;
    for (std::size_t i = 0; i < n_bytes; ++i) value = (value ^ static_cast<std::uint8_t>(name[i])) * 0x100000001b3U;
    return static_cast<std::size_t>(value ^ value >> 32);
  }
  void insert(const Buffer<nnr_tensor>& tensors, std::size_t place) {
    std::size_t at = hash(tensors[place].name, tensors[place].name_bytes);
    while (slots_[at & (slots_.size() - 1)] != kAbsent) ++at;
    slots_[at & (slots_.size() - 1)] = place;
  }

  Buffer<std::size_t> slots_;  // a power of two, or none
};

}  // namespace nnr
