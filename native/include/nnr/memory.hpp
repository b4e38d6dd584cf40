// SPDX-License-Identifier: Apache-2.0
// Memory from the caller's allocator: owned arrays, and an arena for what lives as long as one unit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "nnr.h"

namespace nnr {

// The default allocator.
inline const nnr_allocator kHeap = {[](void*, std::size_t n_bytes) { return std::malloc(n_bytes); },
                                    [](void*, void* block) { std::free(block); }, nullptr};

// An owned array of plain values; empty after a failed allocation.
template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() { clear(); }

  // Replaces the content by `size` values that are not initialised. False when there is no memory.
  [[nodiscard]] bool allocate(const nnr_allocator& allocator, std::uint64_t size) {
    clear();
    allocator_ = &allocator;
    return reserve(size) && (size_ = static_cast<std::size_t>(size), true);
  }

  // Appends a value, doubling the room when it is used up. False when there is no memory.
  [[nodiscard]] bool append(const nnr_allocator& allocator, const T& value) { return append(allocator, std::span(&value, 1)); }
  [[nodiscard]] bool append(const nnr_allocator& allocator, std::span<const T> values) {
    const std::size_t begin = size_;
    if (!extend(allocator, values.size())) return false;
    copy(values.data(), values.size(), data_ + begin);
    return true;
  }
  // Appends `count` values that are not initialised, likewise.
  [[nodiscard]] bool extend(const nnr_allocator& allocator, std::size_t count) {
    if (count > capacity_ - size_) {
      Buffer grown;
      grown.allocator_ = &allocator;
      const std::uint64_t doubled = capacity_ == 0 ? 16 : std::uint64_t{2} * capacity_;
      const std::uint64_t needed = std::uint64_t{size_} + count;
      if (!grown.reserve(doubled > needed ? doubled : needed)) return false;
      copy(data_, size_, grown.data_);
      grown.size_ = size_;
      swap(grown);
    }
    size_ += count;
    return true;
  }
  // Keeps the first `size` values only; the memory stays.
  void shrink(std::size_t size) { size_ = size; }

  // Removes the first `count` values.
  void drop(std::size_t count) {
    for (std::size_t i = count; i < size_; ++i) data_[i - count] = data_[i];
    size_ -= count;
  }

  void clear() {
    if (data_ != nullptr) allocator_->release(allocator_->opaque, data_);
    data_ = nullptr;
    size_ = capacity_ = 0;
  }
  [[nodiscard]] T* data() { return data_; }
  [[nodiscard]] const T* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] T& operator[](std::size_t i) { return data_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const { return data_[i]; }
  [[nodiscard]] T* begin() { return data_; }
  [[nodiscard]] T* end() { return data_ + size_; }
  [[nodiscard]] const T* begin() const { return data_; }
  [[nodiscard]] const T* end() const { return data_ + size_; }

 private:
  static void copy(const T* from, std::size_t count, T* to) {
    if (count != 0) std::memcpy(to, from, count * sizeof(T));
  }
  [[nodiscard]] bool reserve(std::uint64_t size) {
    if (size > std::numeric_limits<std::size_t>::max() / sizeof(T) / 2) return false;
    const auto n_bytes = static_cast<std::size_t>(size) * sizeof(T);
    data_ = static_cast<T*>(allocator_->allocate(allocator_->opaque, n_bytes == 0 ? 1 : n_bytes));
    capacity_ = data_ == nullptr ? 0 : static_cast<std::size_t>(size);
    return data_ != nullptr;
  }
  void swap(Buffer& other) noexcept {
    std::swap(allocator_, other.allocator_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  const nnr_allocator* allocator_ = nullptr;
  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// Blocks that are released together.
class Arena {
 public:
  explicit Arena(const nnr_allocator& allocator) : allocator_(allocator) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { release_from(nullptr); }

  // An array of `size` values, all zero; null when there is no memory.
  template <class T>
  [[nodiscard]] T* make(std::uint64_t size) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= kAlignment);
    if (size > (std::numeric_limits<std::size_t>::max() >> 1) / sizeof(T)) return nullptr;
    void* const memory = take(static_cast<std::size_t>(size) * sizeof(T));
    if (memory == nullptr) return nullptr;
    T* const values = static_cast<T*>(memory);
    for (std::size_t i = 0; i < size; ++i) new (values + i) T();
    return values;
  }

  // Forgets everything; the first block stays for what comes next.
  void reset() {
    if (last_ == nullptr) return;
    Block* first = last_;
    while (first->before != nullptr) first = first->before;
    release_from(first);
    last_ = first;
    used_ = 0;
  }

 private:
  static constexpr std::size_t kAlignment = 16;
  static constexpr std::size_t kBlockBytes = 4096;
  struct alignas(16) Block {
    Block* before;
    std::size_t n_bytes;
  };

  [[nodiscard]] void* take(std::size_t n_bytes) {
    n_bytes = (n_bytes + kAlignment - 1) & ~(kAlignment - 1);
    if (last_ == nullptr || last_->n_bytes - used_ < n_bytes) {
      const std::size_t room = n_bytes > kBlockBytes ? n_bytes : kBlockBytes;
      auto* const block = static_cast<Block*>(allocator_.allocate(allocator_.opaque, sizeof(Block) + room));
      if (block == nullptr) return nullptr;
      *block = {last_, room};
      last_ = block;
      used_ = 0;
    }
    void* const memory = reinterpret_cast<unsigned char*>(last_ + 1) + used_;
    used_ += n_bytes;
    return memory;
  }

  // Releases all blocks behind `kept`.
  void release_from(Block* kept) {
    while (last_ != nullptr && last_ != kept) {
      Block* const before = last_->before;
      allocator_.release(allocator_.opaque, last_);
      last_ = before;
    }
  }

  const nnr_allocator& allocator_;
  Block* last_ = nullptr;
  std::size_t used_ = 0;
};

}  // namespace nnr
