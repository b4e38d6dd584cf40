// SPDX-License-Identifier: Apache-2.0
// Batches of units as values that Python can pickle: the bytes of each unit, and what its syntax depends on.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "unit_batch.hpp"

namespace nnr_bindings {

// Places of the bytes of a joined unit: (byte of the unit, byte of the stream).
using PickledPieces = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
// index, first byte, bytes, places, names and shape.
using PickledUnit = std::tuple<std::uint64_t, std::uint64_t, nanobind::bytes, PickledPieces, std::vector<nanobind::bytes>,
                               std::vector<std::uint64_t>>;
// general_profile_idc, flags of the model parameter set, size of the reference list, quantisation, units.
using PickledBatch =
    std::tuple<std::uint32_t, bool, bool, std::int64_t, bool, std::uint32_t, std::int32_t, std::vector<PickledUnit>>;

[[nodiscard]] PickledBatch pickled(const UnitBatch& batch);
// Fills an empty batch. Throws for a state that pickled() does not return.
void restore(UnitBatch& batch, const PickledBatch& state);

}  // namespace nnr_bindings
