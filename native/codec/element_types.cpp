// SPDX-License-Identifier: Apache-2.0
#include "element_types.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

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

template <NarrowFloat kFormat>
std::uint32_t narrowed(std::uint32_t single) {
  const int shift = 23 - kFormat.fraction_bits, bias = (1 << (kFormat.exponent_bits - 1)) - 1;
  const std::uint32_t sign = single >> 31 << (kFormat.exponent_bits + kFormat.fraction_bits);
  const std::uint32_t magnitude = single & 0x7FFFFFFF, fraction = magnitude & 0x7FFFFF;
  const std::uint32_t infinity = ((1U << kFormat.exponent_bits) - 1) << kFormat.fraction_bits;
  if (magnitude > kInfinity) {
    if (kFormat.exponent_bits + kFormat.fraction_bits == 7) return sign | 0x7F;
    // A NaN keeps its upper bits; one without any becomes a quiet one.
    const std::uint32_t upper = fraction >> shift;
    return sign | infinity | (upper == 0 ? 1U << (kFormat.fraction_bits - 1) : upper);
  }
  if (magnitude == kInfinity) return sign | (kFormat.has_infinity ? infinity : 0x7F);
  const std::uint32_t largest = kFormat.has_infinity ? infinity - 1 : 0x7E;
  const int exponent = static_cast<int>(magnitude >> 23);
  if (bias == 127 || exponent > 127 - bias)
    return sign | std::min(largest, shift_rounded(magnitude - (static_cast<std::uint32_t>(127 - bias) << 23), shift));
  // Subnormal. Subnormal float32 values are below half of the least one.
  const int drop = shift + 128 - bias - exponent;
  return drop > 25 ? sign : sign | shift_rounded(fraction | 0x800000, drop);
}

// Decoded values of 4 bytes, and memory for elements, which may be the same.
struct Conversion {
  const std::uint8_t* values;
  std::uint64_t n_elements;
  std::uint8_t* elements;
};

// Sets each element to what `convert` makes of the bits of a value. Returns false at a value that `convert` refuses.
template <class Element, class Convert>
bool convert_each(const Conversion& conversion, Convert convert) {
  for (std::uint64_t i = 0; i < conversion.n_elements; ++i) {
    // Wider elements from the last one on, so that none is written before its value is read.
    const auto at = static_cast<std::size_t>(sizeof(Element) > 4 ? conversion.n_elements - 1 - i : i);
    std::uint32_t bits;
    std::memcpy(&bits, conversion.values + 4 * at, sizeof bits);
    Element element;
    if (!convert(bits, element)) return false;
    std::memcpy(conversion.elements + sizeof element * at, &element, sizeof element);
  }
  return true;
}

// `value_of` gives the value of its bits, as float or double. A float keeps the bits of NaN.
template <class Element, class ValueOf>
bool to_integers(const Conversion& conversion, unsigned n_bits, ValueOf value_of) {
  constexpr bool kIsSigned = std::is_signed_v<Element>;
  if (n_bits == 0) n_bits = 8U * sizeof(Element);
  const double end = std::ldexp(1.0, static_cast<int>(n_bits) - (kIsSigned ? 1 : 0)), begin = kIsSigned ? -end : 0.0;
  return convert_each<Element>(conversion, [=](std::uint32_t bits, Element& element) {
    const double value = std::rint(static_cast<double>(value_of(bits)));
    if (std::isnan(value) || value < begin || value >= end) return false;
    element = static_cast<Element>(value);
    return true;
  });
}

template <class Element, NarrowFloat kFormat, class ValueOf>
bool to_narrow_floats(const Conversion& conversion, ValueOf value_of) {
  return convert_each<Element>(conversion, [=](std::uint32_t bits, Element& element) {
    element = static_cast<Element>(narrowed<kFormat>(std::bit_cast<std::uint32_t>(static_cast<float>(value_of(bits)))));
    return true;
  });
}

template <class ValueOf>
bool convert_values(const Conversion& conversion, nnr_type type, unsigned n_bits, ValueOf value_of) {
  switch (type) {
    case NNR_FLOAT32:
      return convert_each<float>(conversion, [=](std::uint32_t bits, float& element) {
        element = static_cast<float>(value_of(bits));
        return true;
      });
    case NNR_FLOAT64:
      return convert_each<double>(conversion, [=](std::uint32_t bits, double& element) {
        element = static_cast<double>(value_of(bits));
        return true;
      });
    case NNR_FLOAT16:
      return to_narrow_floats<std::uint16_t, NarrowFloat{5, 10, true}>(conversion, value_of);
    case NNR_BFLOAT16:
      return to_narrow_floats<std::uint16_t, NarrowFloat{8, 7, true}>(conversion, value_of);
    case NNR_FLOAT8_E4M3:
      return to_narrow_floats<std::uint8_t, NarrowFloat{4, 3, false}>(conversion, value_of);
    case NNR_FLOAT8_E5M2:
      return to_narrow_floats<std::uint8_t, NarrowFloat{5, 2, true}>(conversion, value_of);
    case NNR_BOOL:
      return convert_each<bool>(conversion, [=](std::uint32_t bits, bool& element) {
        element = value_of(bits) != 0;
        return true;
      });
    case NNR_UINT8:
      return to_integers<std::uint8_t>(conversion, n_bits, value_of);
    case NNR_INT8:
      return to_integers<std::int8_t>(conversion, n_bits, value_of);
    case NNR_UINT16:
      return to_integers<std::uint16_t>(conversion, n_bits, value_of);
    case NNR_INT16:
      return to_integers<std::int16_t>(conversion, n_bits, value_of);
    case NNR_UINT32:
      return to_integers<std::uint32_t>(conversion, n_bits, value_of);
    case NNR_INT32:
      return to_integers<std::int32_t>(conversion, n_bits, value_of);
    case NNR_UINT64:
      return to_integers<std::uint64_t>(conversion, n_bits, value_of);
    default:
      return to_integers<std::int64_t>(conversion, n_bits, value_of);
  }
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
  const Conversion conversion = {static_cast<const std::uint8_t*>(values), n_elements, static_cast<std::uint8_t*>(elements)};
  if (are_integers)
    return convert_values(conversion, type, n_bits,
                          [](std::uint32_t bits) { return static_cast<double>(std::bit_cast<std::int32_t>(bits)); });
  return convert_values(conversion, type, n_bits, [](std::uint32_t bits) { return std::bit_cast<float>(bits); });
}

void to_native_order(std::span<std::uint8_t> content, nnr_type type) {
  if constexpr (std::endian::native == std::endian::little) return;
  if (type == NNR_OPAQUE) return;
  const unsigned n_bytes = element_type(type).n_bytes;
  for (std::size_t i = 0; i + n_bytes <= content.size(); i += n_bytes)
    std::reverse(content.data() + i, content.data() + i + n_bytes);
}

}  // namespace nnr
