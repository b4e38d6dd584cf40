// SPDX-License-Identifier: Apache-2.0
// The descriptors, read from a bounded range of bits. The generated parsers call these, element by element.
// Clause: format 1, 7.
#pragma once

#include <cstdint>
#include <span>

#include "fault.hpp"
#include "generated/elements.hpp"
#include "nnr/memory.hpp"
#include "values.hpp"

namespace nnr::syntax {

// An element to look for: its `occurrence`-th one, counted from 0.
struct Watch {
  ElementId element = ElementId::kNone;
  int occurrence = 0;
};

// Every read_* takes one element: it returns false and sets `fault` when the element is faulty.
class Parser {
 public:
  // Reads bits 8 * begin to 8 * end of `data`; nothing outside is touched. `names` is the reference list.
  Parser(const std::uint8_t* data, std::uint64_t begin, std::uint64_t end, const nnr_limits& bounds, Arena& memory,
         std::span<const Bytes> names)
      : limits(bounds), arena(memory), reference_list(names), data_(data), position_(8 * begin), end_(8 * end) {}

  [[nodiscard]] bool read_u(ElementId element, std::int64_t n_bits, std::uint32_t& value);
  [[nodiscard]] bool read_i(ElementId element, int n_bits, std::int32_t& value);
  [[nodiscard]] bool read_ue(ElementId element, std::int64_t order, std::uint32_t& value);
  [[nodiscard]] bool read_ie(ElementId element, std::int64_t order, std::int64_t& value);
  [[nodiscard]] bool read_flt(ElementId element, Binary32& value);
  [[nodiscard]] bool read_st(ElementId element, Bytes& value);
  [[nodiscard]] bool read_bs(ElementId element, Bytes& value);
  [[nodiscard]] bool read_byte_alignment(ElementId element, std::uint32_t& value);
  [[nodiscard]] bool read_unsupported(ElementId element);

  template <int kBytes>
  [[nodiscard]] bool read_wide_u(ElementId element, BigEndian<kBytes>& value) {
    begin(element);
    return take_bytes(value.bytes, kBytes);
  }
  // An Exp-Golomb code of a value of up to 8 * kBytes bits.
  template <int kBytes>
  [[nodiscard]] bool read_wide_ue(ElementId element, int order, BigEndian<kBytes>& value) {
    begin(element);
    return take_wide_exp_golomb(order, value.bytes, kBytes);
  }

  // Room for a list of `count` entries of at least `min_bits` each: never more than the unit can hold.
  template <class T>
  [[nodiscard]] bool make_list(std::uint64_t count, unsigned min_bits, std::span<T>& list) {
    const std::uint64_t most = bits_left() / min_bits + 1;
    const std::uint64_t size = count < most ? count : most;
    T* const values = arena.make<T>(size);
    if (values == nullptr) return refuse(NNR_MEMORY, "out of memory");
    list = {values, static_cast<std::size_t>(size)};
    return true;
  }

  // Refuses the element read last.
  bool refuse(nnr_status status, const char* text);
  // Refuses an element read before: `later` starts at its bit once it has been located.
  bool refuse_earlier(nnr_status status, Watch earlier, const char* text);
  [[nodiscard]] bool expect_end();

  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] std::uint64_t bits_left() const { return end_ - position_; }
  [[nodiscard]] std::uint64_t watched_position() const { return watched_position_; }
  void watch(Watch watch) { watch_ = watch; }

  const nnr_limits& limits;
  Arena& arena;
  std::span<const Bytes> reference_list;
  Fault fault;
  Watch fault_watch;  // the element of `fault` where it is not the one read last
  Scope scope;
  static constexpr std::uint64_t kNotSeen = UINT64_MAX;

 private:
  void begin(ElementId element) {
    element_ = element;
    start_ = position_;
    if (element == watch_.element && watch_.occurrence-- == 0) watched_position_ = position_;
  }
  // At most 32 bits, all inside the range.
  [[nodiscard]] std::uint32_t peek(unsigned n_bits) const;
  [[nodiscard]] bool truncated() { return refuse(NNR_TRUNCATED, "the element reaches beyond its unit"); }
  [[nodiscard]] bool take_bits(std::int64_t n_bits, std::uint32_t& value);
  [[nodiscard]] bool take_bytes(std::uint8_t* bytes, int n_bytes);
  [[nodiscard]] bool take_exp_golomb(std::int64_t order, std::uint64_t& value);
  [[nodiscard]] bool take_wide_exp_golomb(int order, std::uint8_t* bytes, int n_bytes);
  [[nodiscard]] std::uint64_t count_zeros() const;

  const std::uint8_t* data_;
  std::uint64_t position_;
  std::uint64_t end_;
  std::uint64_t start_ = 0;
  ElementId element_ = ElementId::kNone;
  Watch watch_;
  std::uint64_t watched_position_ = kNotSeen;
};

[[nodiscard]] bool is_utf8(Bytes text);

}  // namespace nnr::syntax
