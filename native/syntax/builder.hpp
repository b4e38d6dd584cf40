// SPDX-License-Identifier: Apache-2.0
// The descriptors, written. The generated builders call these, element by element.
// Clause: format 1.
#pragma once

#include <cstdint>
#include <span>

#include "fault.hpp"
#include "generated/elements.hpp"
#include "generated/units.hpp"
#include "nnr/memory.hpp"
#include "values.hpp"

namespace nnr::syntax {

// Every write_* takes the value of the element that begin() named: it returns false and sets `fault` when its bits cannot hold
// it.
class Builder {
 public:
  // `names` is the reference list.
  Builder(const nnr_allocator& allocator, std::span<const Bytes> names) : reference_list(names), allocator_(allocator) {}

  void begin(ElementId element) { element_ = element; }
  [[nodiscard]] bool write_u(std::int64_t n_bits, std::uint32_t value);
  [[nodiscard]] bool write_i(int n_bits, std::int32_t value);
  [[nodiscard]] bool write_ue(std::int64_t order, std::uint64_t value);
  [[nodiscard]] bool write_ie(std::int64_t order, std::int64_t value);
  [[nodiscard]] bool write_flt(Binary32 value);
  [[nodiscard]] bool write_st(Bytes value);
  [[nodiscard]] bool write_bs(Bytes value);
  // `value` is the pattern that the position demands, or 0 for one that is to be filled in.
  [[nodiscard]] bool write_byte_alignment(std::uint32_t value);
  [[nodiscard]] bool write_unsupported() { return refuse(NNR_UNSUPPORTED, "the syntax of this table is not known"); }

  template <int kBytes>
  [[nodiscard]] bool write_wide_u(const BigEndian<kBytes>& value) {
    for (const std::uint8_t octet : value.bytes)
      if (!write_u(8, octet)) return false;
    return true;
  }
  template <int kBytes>
  [[nodiscard]] bool write_wide_ue(int order, const BigEndian<kBytes>& value) {
    return write_wide_exp_golomb(order, value.bytes, kBytes);
  }

  bool refuse(nnr_status status, const char* text);
  // An element that the conditions demand is not in the struct, or a list has another length than they say.
  bool refuse_missing(const char* element);

  // The unit is `head` and then `tail`, its bs(v) if it has one: that ends a unit, may be large, and is not copied.
  [[nodiscard]] Buffer<std::uint8_t>& head() { return head_; }
  [[nodiscard]] Bytes tail() const { return tail_; }

  std::span<const Bytes> reference_list;
  Fault fault;
  Scope scope;

 private:
  [[nodiscard]] bool put(std::uint64_t value, unsigned n_bits);
  [[nodiscard]] bool write_wide_exp_golomb(int order, const std::uint8_t* bytes, int n_bytes);

  const nnr_allocator& allocator_;
  Buffer<std::uint8_t> head_;
  Bytes tail_;
  unsigned n_spare_ = 0;  // bits of the last byte that are not written yet
  ElementId element_ = ElementId::kNone;
};

// Builds a unit with the size that it has, the short form where that suffices.
[[nodiscard]] bool build_sized_unit(Builder& b, NnrUnit& unit);

}  // namespace nnr::syntax
