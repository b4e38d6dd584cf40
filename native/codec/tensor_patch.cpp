// SPDX-License-Identifier: Apache-2.0
#include "tensor_patch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "carrier.hpp"

namespace nnr {

namespace {

constexpr std::uint64_t kNone = UINT64_MAX;

// Takes an unsigned LEB128 number of at most 56 bits; kNone if there is none.
std::uint64_t take_number(std::span<const std::uint8_t>& octets) {
  std::uint64_t number = 0;
  for (unsigned i = 0; i < 8 && i < octets.size(); ++i) {
    number |= std::uint64_t{octets[i] & 127U} << (7 * i);
    if (octets[i] >= 128) continue;
    octets = octets.subspan(i + 1);
    return number;
  }
  return kNone;
}

float value_at(std::span<const std::uint8_t> values, std::uint64_t index) {
  const auto bits = static_cast<std::uint32_t>(little_endian(values.subspan(4 * static_cast<std::size_t>(index), 4)));
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace

bool apply_patch(std::span<const std::uint8_t> patch, std::uint64_t n_elements, float* values) {
  if (patch.size() < 2 || patch[0] > 1 || patch[1] > 1) return false;
  const bool is_bitmap = patch[0] == 1, are_equal = patch[1] == 1;
  patch = patch.subspan(2);
  const std::uint64_t count = take_number(patch);
  if (count == kNone || count > n_elements) return false;
  // Positions are read twice, since the values stand behind them.
  std::span<const std::uint8_t> positions = patch;
  std::uint64_t bitmap_bits = 0;
  if (is_bitmap) {
    bitmap_bits = take_number(patch);
    if (bitmap_bits == kNone || bitmap_bits > n_elements || patch.size() < (bitmap_bits + 7) / 8) return false;
    positions = patch;
    patch = patch.subspan(static_cast<std::size_t>((bitmap_bits + 7) / 8));
  } else {
    for (std::uint64_t i = 0; i < count; ++i)
      if (take_number(patch) == kNone) return false;
  }
  if (patch.size() / 4 != (are_equal ? std::min<std::uint64_t>(count, 1) : count)) return false;
  std::uint64_t n_done = 0;
  if (!is_bitmap) {
    for (std::uint64_t position = 0; n_done < count; ++position, ++n_done) {
      const std::uint64_t gap = take_number(positions);
      if (gap >= n_elements) return false;
      position += gap;
      if (position >= n_elements) return false;
      values[position] = value_at(patch, are_equal ? 0 : n_done);
    }
    return true;
  }
  for (std::uint64_t bit = 0; bit < bitmap_bits; ++bit) {
    if ((positions[static_cast<std::size_t>(bit >> 3)] >> (7 - (bit & 7)) & 1) == 0) continue;
    if (n_done == count) return false;
    values[bit] = value_at(patch, are_equal ? 0 : n_done);
    ++n_done;
  }
  return n_done == count;
}

}  // namespace nnr
