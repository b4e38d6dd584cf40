// SPDX-License-Identifier: Apache-2.0
// What fuzz targets make of their bytes: first choices, one byte or two each, then whatever is left. Bytes that are missing are
// zeros, so that every input means something.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "nnr/tensor_coding.hpp"

namespace fuzz {

// A property that does not hold is a crash, in every build.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "property violated: %s\n", what);
  std::abort();
}

class Input {
 public:
  Input(const std::uint8_t* bytes, std::size_t size) : rest_(bytes, size) {}

  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }
  bool flag() { return (byte() & 1) != 0; }
  // least..least + count - 1, mostly the byte itself.
  std::uint64_t number(std::uint64_t least, std::uint64_t count) { return least + byte() % count; }
  // 4 bytes as they stand: any bit pattern.
  template <class T>
  T word() {
    static_assert(sizeof(T) == 4);
    std::array<std::uint8_t, 4> octets{};
    for (std::uint8_t& octet : octets) octet = byte();
    T value;
    std::memcpy(&value, octets.data(), sizeof value);
    return value;
  }
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] std::span<const std::uint8_t> rest() const { return rest_; }

 private:
  std::span<const std::uint8_t> rest_;
};

// A tensor's coding, and the arrays it points to at exactly their size, so that a read beside them is seen.
struct Tensor {
  nnr::TensorCoding coding;
  std::vector<std::int32_t> base;
  std::vector<std::uint8_t> history;
};

// Mostly a handful of levels, so that there are many executions a second; now and then enough for several block rows.
inline std::uint64_t take_dimension(Input& input) {
  const std::uint8_t head = input.byte();
  return head < 240 ? 1 + head % 6 : 9 + head % 12;
}

// Shapes of every kind: one row, one column, several block rows. 9 bytes at most.
inline Tensor take_tensor(Input& input, bool codebooks = true) {
  Tensor tensor;
  nnr::TensorCoding& coding = tensor.coding;
  coding.rows = take_dimension(input);
  coding.width = take_dimension(input);
  const std::uint8_t kinds = input.byte();
  coding.dependent = (kinds & 1) != 0;
  coding.profile1 = (kinds & 2) != 0;
  coding.parent_present = (kinds & 4) != 0;
  coding.scan_order = (kinds & 8) != 0 ? static_cast<int>(input.number(1, 4)) : 0;
  coding.qp_bits = (kinds & 16) != 0 ? static_cast<int>(input.number(6, 8)) : 0;
  const bool codebook = (kinds & 32) != 0;
  const std::uint8_t unary = input.byte();
  coding.unary_length = unary < 240 ? 1 + unary % 12 : 1 + (unary - 240) * 17;
  if (codebook && codebooks && coding.profile1) {
    coding.codebook_size = static_cast<std::int64_t>(input.number(1, 40));
    coding.codebook_zero = static_cast<std::int64_t>(input.number(0, 40)) % coding.codebook_size;
  }
  const std::uint8_t pattern = (kinds & 128) != 0 ? input.byte() : 0;
  if ((kinds & 64) != 0) {
    tensor.base.resize(coding.size());
    for (std::size_t i = 0; i < tensor.base.size(); ++i) tensor.base[i] = static_cast<std::int32_t>((i * (pattern | 1U)) % 7) - 3;
    coding.base = tensor.base.data();
  }
  if ((kinds & 128) != 0) {
    tensor.history.resize(coding.size());
    for (std::size_t i = 0; i < tensor.history.size(); ++i) tensor.history[i] = pattern >> (i % 8) & 1U;
    coding.history = tensor.history.data();
  }
  return tensor;
}

}  // namespace fuzz
