// SPDX-License-Identifier: Apache-2.0
#include "builder.hpp"

#include <bit>

namespace nnr::syntax {

bool Builder::put(std::uint64_t value, unsigned n_bits) {
  while (n_bits > 0) {
    if (n_spare_ == 0) {
      if (!head_.append(allocator_, std::uint8_t{0})) return refuse(NNR_MEMORY, "out of memory");
      n_spare_ = 8;
    }
    const unsigned n_taken = n_bits < n_spare_ ? n_bits : n_spare_;
    const auto piece = static_cast<unsigned>(value >> (n_bits - n_taken)) & ((1U << n_taken) - 1U);
    head_[head_.size() - 1] |= static_cast<std::uint8_t>(piece << (n_spare_ - n_taken));
    n_spare_ -= n_taken;
    n_bits -= n_taken;
  }
  return true;
}

bool Builder::write_u(std::int64_t n_bits, std::uint32_t value) {
  if (std::uint64_t{value} >> n_bits != 0) return refuse(NNR_ARGUMENT, "the value does not fit its bits");
  return put(value, static_cast<unsigned>(n_bits));
}

bool Builder::write_i(int n_bits, std::int32_t value) {
  const std::int64_t half = std::int64_t{1} << (n_bits - 1);
  if (value < -half || value >= half) return refuse(NNR_ARGUMENT, "the value does not fit its bits");
  return put(static_cast<std::uint32_t>(value), static_cast<unsigned>(n_bits));
}

bool Builder::write_ue(std::int64_t order, std::uint64_t value) {
  if (value > UINT32_MAX) return refuse(NNR_ARGUMENT, "the value does not fit an Exp-Golomb code of 32 bits");
  // With k and z zeros the code is z zeros and then value + 2^k in k + z + 1 bits.
  const std::uint64_t code = value + (std::uint64_t{1} << order);
  const auto n_bits = static_cast<unsigned>(std::bit_width(code));
  return put(0, n_bits - 1 - static_cast<unsigned>(order)) && put(code, n_bits);
}

bool Builder::write_ie(std::int64_t order, std::int64_t value) {
  return write_ue(order, value > 0 ? 2 * static_cast<std::uint64_t>(value) - 1 : 2 * (0 - static_cast<std::uint64_t>(value)));
}

bool Builder::write_flt(Binary32 value) {
  for (int shift = 0; shift < 32; shift += 8)
    if (!put(value.bits >> shift & 0xFF, 8)) return false;
  return true;
}

bool Builder::write_st(Bytes value) {
  for (const std::uint8_t octet : value)
    if (octet == 0) return refuse(NNR_ARGUMENT, "a text cannot hold a zero byte");
  if (n_spare_ != 0) return refuse(NNR_ARGUMENT, "a text starts on a byte boundary");
  return (head_.append(allocator_, value) || refuse(NNR_MEMORY, "out of memory")) && put(0, 8);
}

bool Builder::write_bs(Bytes value) {
  if (n_spare_ != 0) return refuse(NNR_ARGUMENT, "bytes start on a byte boundary");
  tail_ = value;
  return true;
}

bool Builder::write_byte_alignment(std::uint32_t value) {
  const unsigned n_bits = n_spare_ == 0 ? 8 : n_spare_;
  if (value != 0 && value != 1U << (n_bits - 1)) return refuse(NNR_ARGUMENT, "the alignment is not a one and zeros");
  return put(std::uint64_t{1} << (n_bits - 1), n_bits);
}

bool Builder::write_wide_exp_golomb(int order, const std::uint8_t* bytes, int n_bytes) {
  // The code is value + 2^order, one byte longer than the value, behind as many zeros as it has bits beyond order + 1.
  constexpr int kMost = 64;
  std::uint8_t code[kMost + 1] = {};
  unsigned carry = 1U << (order & 7);
  for (int i = n_bytes - 1 - (order >> 3); i >= 0; --i) {
    carry += bytes[i];
    code[i + 1] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  code[0] = static_cast<std::uint8_t>(carry);
  for (int i = n_bytes - (order >> 3); i < n_bytes; ++i) code[i + 1] = bytes[i];
  int first = 0;
  while (code[first] == 0) ++first;
  const auto head_bits = static_cast<unsigned>(std::bit_width(unsigned{code[first]}));
  const auto n_bits = head_bits + 8 * static_cast<unsigned>(n_bytes - first);
  for (unsigned i = static_cast<unsigned>(order) + 1; i < n_bits; ++i)
    if (!put(0, 1)) return false;
  bool done = put(code[first], head_bits);
  for (int i = first + 1; i <= n_bytes && done; ++i) done = put(code[i], 8);
  return done;
}

bool Builder::refuse(nnr_status status, const char* text) {
  const std::uint64_t n_bits = 8 * std::uint64_t{head_.size()} - n_spare_;
  fault = {status, NNR_STAGE_NONE, n_bits, element_name(element_), element_clause(element_), text};
  return false;
}

bool Builder::refuse_missing(const char* element) {
  refuse(NNR_ARGUMENT, "the element is missing, or a list has another length than the elements before it say");
  fault.element = element;
  return false;
}

bool build_sized_unit(Builder& b, NnrUnit& unit) {
  constexpr std::uint64_t kLongField = 4;
  unit.nnr_unit_size_flag = 1;
  unit.nnr_unit_size = 0;
  if (!build_nnr_unit(b, unit)) return false;
  Buffer<std::uint8_t>& head = b.head();
  std::uint64_t size = head.size() + std::uint64_t{b.tail().size()};
  b.begin(ElementId::nnr_unit_size);
  if (size >> 31 != 0) return b.refuse(NNR_ARGUMENT, "a unit has less than 2 GiB");
  if (size - kLongField + 2 < 1U << 15) {
    head.drop(2);
    size -= 2;
    unit.nnr_unit_size_flag = 0;
  }
  unit.nnr_unit_size = static_cast<std::uint32_t>(size);
  const std::uint64_t field = size | std::uint64_t{unit.nnr_unit_size_flag} << 31;
  const int field_bytes = unit.nnr_unit_size_flag != 0 ? 4 : 2;
  for (int i = 0; i < field_bytes; ++i)
    head[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(field >> (8 * (field_bytes - 1 - i)));
  return true;
}

}  // namespace nnr::syntax
