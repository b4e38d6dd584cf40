// SPDX-License-Identifier: Apache-2.0
// Elements of a tensor that cannot be quantised, such as NaN and infinities: positions and values.
// Source: docs/guide/carriers.md.
#pragma once

#include <cstdint>
#include <span>

namespace nnr {

// Writes the elements of a patch into a tensor. False if the patch is damaged or does not fit the tensor; the values are then
// undefined.
[[nodiscard]] bool apply_patch(std::span<const std::uint8_t> patch, std::uint64_t n_elements, float* values);

}  // namespace nnr
