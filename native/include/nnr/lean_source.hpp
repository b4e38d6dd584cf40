// SPDX-License-Identifier: Apache-2.0
// Source and side data of decoders that allocate nothing themselves and need no side data but levels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>

#include "nnr/fast_context.hpp"
#include "nnr/fast_source.hpp"
#include "nnr/tensor_coding.hpp"
#include "nnr/tensor_decoder.hpp"

namespace nnr {

// ContextBank with room for all contexts in place; nothing is set before it is used.
class FixedContextBank {
 public:
  explicit FixedContextBank(std::size_t) {}
  FixedContextBank(const FixedContextBank& other) : size_(other.size_) {
    static_assert(std::is_trivially_copyable_v<FastContext>);
    std::memcpy(storage_, other.storage_, static_cast<std::size_t>(size_) * sizeof(FastContext));
  }
  FixedContextBank& operator=(const FixedContextBank&) = delete;

  [[nodiscard]] FastContext& operator[](int index) { return begin()[index]; }
  [[nodiscard]] FastContext* begin() { return reinterpret_cast<FastContext*>(storage_); }
  void initialise(int context, int initialisation) {
    for (; size_ <= context; ++size_) new (begin() + size_) FastContext();
    begin()[context].initialise(initialisation);
  }
  void reset() {
    for (int i = 0; i < size_; ++i) begin()[i].reset();
  }

 private:
  alignas(FastContext) unsigned char storage_[ContextLayout::kMaxCount * sizeof(FastContext)];
  int size_ = 0;
};

using LeanSource = BasicFastSource<FixedContextBank>;

// TensorSideData with the flags of rows in memory of the caller's, and without the lists that only encoders need.
struct LeanSideData {
  struct Flags {
    std::uint8_t* data = nullptr;
    void resize(std::uint64_t) {}
    [[nodiscard]] std::uint8_t& operator[](std::uint64_t i) const { return data[i]; }
  };
  template <class T>
  struct Discard {
    void push_back(const T&) {}
  };
  std::int32_t qp_value = 0;
  bool history_enabled = false;
  bool row_skip_enabled = false;
  Flags row_skip_flags;
  Discard<std::uint8_t> initialisations;
  Discard<BlockRowStart> block_row_starts;
};

using LeanDecoder = TensorDecoder<LeanSource, LeanSideData>;

}  // namespace nnr
