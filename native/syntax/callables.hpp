// SPDX-License-Identifier: Apache-2.0
// Counterparts of the Python callables in the syntax tables, each under its Python name.
// `names` is the reference list.
// Clause: format 3.
#pragma once

#include <cstdint>
#include <span>

#include "generated/units.hpp"
#include "parser.hpp"

namespace nnr::syntax {

// low_rank_factor: 'G' or 'H', which factor a unit outside a block carries, by the end of its name; 0 for another name and in a
// block.
[[nodiscard]] char low_rank_factor(std::span<const Bytes> names, const NnrCompressedDataUnitHeader& t);

// low_rank_factor as a check: refuses a unit outside a block whose name ends in neither _G nor _H.
[[nodiscard]] bool check_low_rank_factor(Parser& p, const NnrCompressedDataUnitHeader& t);

// number_of_entry_points: block rows that have an entry point, which are all but the first of each scanned tensor.
[[nodiscard]] std::int64_t number_of_entry_points(std::span<const Bytes> names, const NnrCompressedDataUnitHeader& t);

}  // namespace nnr::syntax
