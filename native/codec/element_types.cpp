// SPDX-License-Identifier: Apache-2.0
#include "element_types.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace nnr {

namespace {

// In the order of nnr_type.
constexpr ElementType kTypes[] = {{"F32", 4},     {"I32", 4},     {"F64", 8},  {"F16", 2}, {"BF16", 2},
                                  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"BOOL", 1}, {"U8", 1},  {"I8", 1},
                                  {"U16", 2},     {"I16", 2},     {"U32", 4},  {"U64", 8}, {"I64", 8}};
static_assert(std::size(kTypes) == NNR_OPAQUE);

constexpr OutputFormat kFormats[] = {{NNR_INT32, 0}, {NNR_FLOAT32, 0}, {NNR_INT8, 2},  {NNR_INT8, 3},    {NNR_INT8, 4},
                                     {NNR_INT8, 0},  {NNR_INT16, 0},   {NNR_INT64, 0}, {NNR_FLOAT16, 0}, {NNR_FLOAT64, 0}};

// A binary floating-point type narrower than float32.
struct NarrowFloat {
  int exponent_bits;
  int fraction_bits;
  bool has_infinity;  // without: all ones but the sign are NaN, and stand for infinity
};

constexpr std::uint32_t kInfinity = 0x7F800000;

// Drops the `shift` low bits, rounding to nearest even.
std::uint32_t shift_rounded(std::uint32_t value, int shift) {
  return (value + (1U << (shift - 1)) - 1 + (value >> shift & 1)) >> shift;
}

std::uint32_t narrowed(std::uint32_t single, NarrowFloat format) {
  const int shift = 23 - format.fraction_bits, bias = (1 << (format.exponent_bits - 1)) - 1;
  const std::uint32_t sign = single >> 31 << (format.exponent_bits + format.fraction_bits);
  const std::uint32_t magnitude = single & 0x7FFFFFFF, fraction = magnitude & 0x7FFFFF;
  const std::uint32_t infinity = ((1U << format.exponent_bits) - 1) << format.fraction_bits;
  if (magnitude > kInfinity) {
    if (format.exponent_bits + format.fraction_bits == 7) return sign | 0x7F;
    // A NaN keeps its upper bits; one without any becomes a quiet one.
    const std::uint32_t upper = fraction >> shift;
    return sign | infinity | (upper == 0 ? 1U << (format.fraction_bits - 1) : upper);
  }
  if (magnitude == kInfinity) return sign | (format.has_infinity ? infinity : 0x7F);
  const std::uint32_t largest = format.has_infinity ? infinity - 1 : 0x7E;
  const int exponent = static_cast<int>(magnitude >> 23);
  if (bias == 127 || exponent > 127 - bias)
    return sign | std::min(largest, shift_rounded(magnitude - (static_cast<std::uint32_t>(127 - bias) << 23), shift));
  // Subnormal. Subnormal float32 values are below half of the least one.
  const int drop = shift + 128 - bias - exponent;
  return drop > 25 ? sign : sign | shift_rounded(fraction | 0x800000, drop);
}

std::uint32_t narrowed(std::uint32_t single, nnr_type type) {
  switch (type) {
    case NNR_FLOAT16:
      return narrowed(single, {5, 10, true});
    case NNR_BFLOAT16:
      return narrowed(single, {8, 7, true});
    case NNR_FLOAT8_E4M3:
      return narrowed(single, {4, 3, false});
    default:
      return narrowed(single, {5, 2, true});
  }
}

bool is_integer(nnr_type type) { return type == NNR_INT32 || type > NNR_BOOL; }

// The value's bits in an integer type. False if it is out of range or no number.
bool to_integer(double value, nnr_type type, unsigned n_bits, std::uint64_t& bits) {
  const bool is_signed = type == NNR_INT32 || type == NNR_INT8 || type == NNR_INT16 || type == NNR_INT64;
  if (n_bits == 0) n_bits = 8U * element_type(type).n_bytes;
  const double end = std::ldexp(1.0, static_cast<int>(n_bits) - (is_signed ? 1 : 0));
  value = std::rint(value);
  if (std::isnan(value) || value < (is_signed ? -end : 0.0) || value >= end) return false;
  bits = is_signed ? static_cast<std::uint64_t>(static_cast<std::int64_t>(value)) : static_cast<std::uint64_t>(value);
  return true;
}

// Stores the low bytes of a word in the byte order of the machine.
void store(std::uint64_t word, unsigned n_bytes, std::uint8_t* to) {
  if constexpr (std::endian::native == std::endian::big) word <<= 64 - 8 * n_bytes;
  std::memcpy(to, &word, n_bytes);
}

}  // namespace

const ElementType& element_type(nnr_type type) { return kTypes[type]; }

nnr_type type_of_tag(std::string_view tag) {
  for (int i = 0; i < NNR_OPAQUE; ++i)
    if (tag == kTypes[i].tag) return static_cast<nnr_type>(i);
  return NNR_OPAQUE;
}

OutputFormat output_format(std::uint32_t nnr_decompressed_data_format) {
  return kFormats[std::min<std::size_t>(nnr_decompressed_data_format, std::size(kFormats) - 1)];
}

bool convert_elements(const void* values, bool are_integers, std::uint64_t n_elements, nnr_type type, unsigned n_bits,
                      void* elements) {
  const unsigned n_bytes = element_type(type).n_bytes;
  const auto* const from = static_cast<const std::uint8_t*>(values);
  auto* const to = static_cast<std::uint8_t*>(elements);
  for (std::uint64_t i = 0; i < n_elements; ++i) {
    // Wider elements from the last one on, so that none is written before its value is read.
    const auto at = static_cast<std::size_t>(n_bytes > 4 ? n_elements - 1 - i : i);
    std::int32_t integer;
    float single;
    std::memcpy(&integer, from + 4 * at, 4);
    std::memcpy(&single, from + 4 * at, 4);
    const double value = are_integers ? static_cast<double>(integer) : double{single};
    if (are_integers) single = static_cast<float>(integer);
    std::uint64_t bits = 0;
    if (is_integer(type)) {
      if (!to_integer(value, type, n_bits, bits)) return false;
    } else if (type == NNR_FLOAT64) {
      bits = std::bit_cast<std::uint64_t>(value);
    } else if (type == NNR_BOOL) {
      bits = value != 0.0 ? 1 : 0;
    } else {
      bits = std::bit_cast<std::uint32_t>(single);
      if (type != NNR_FLOAT32) bits = narrowed(static_cast<std::uint32_t>(bits), type);
    }
    store(bits, n_bytes, to + n_bytes * at);
  }
  return true;
}

void to_native_order(std::span<std::uint8_t> content, nnr_type type) {
  if constexpr (std::endian::native == std::endian::little) return;
  if (type == NNR_OPAQUE) return;
  const unsigned n_bytes = element_type(type).n_bytes;
  for (std::size_t i = 0; i + n_bytes <= content.size(); i += n_bytes)
    std::reverse(content.data() + i, content.data() + i + n_bytes);
}

}  // namespace nnr
