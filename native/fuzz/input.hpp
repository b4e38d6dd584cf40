// SPDX-License-Identifier: Apache-2.0
// Parsing of fuzz inputs: choices of one or two bytes, then the rest as data. Missing bytes read as zeros, so that every input is
// valid.
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

// Checks a property. A violation aborts, in every build.
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
  // A number in least..least + count - 1, from one byte.
  std::uint64_t number(std::uint64_t least, std::uint64_t count) { return least + byte() % count; }
  // The next 4 bytes, as any bit pattern.
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

// A tensor's coding, and the arrays that it points to, allocated at their exact size so that sanitizers see a read outside.
struct Tensor {
  nnr::TensorCoding coding;
  std::vector<std::int32_t> base;
  std::vector<std::uint8_t> history;
};

// A dimension: mostly small, for many executions per second; sometimes enough for several block rows.
inline std::uint64_t take_dimension(Input& input) {
  const std::uint8_t head = input.byte();
  return head < 240 ? 1 + head % 6 : 9 + head % 12;
}

// A tensor of any shape: one row, one column, several block rows. It takes at most 9 bytes.
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

// A level of any size: mostly 0 or small, sometimes of as many bits as the byte says.
inline std::int32_t take_level(Input& input) {
  const std::uint8_t head = input.byte();
  if (head < 96) return 0;
  if (head < 224) return static_cast<std::int32_t>(head) - 160;
  return input.word<std::int32_t>() >> (head & 31U);
}

}  // namespace fuzz
