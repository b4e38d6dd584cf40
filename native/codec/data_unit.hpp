// SPDX-License-Identifier: Apache-2.0
// The meaning of a data unit's header: its tensors, their shapes, order and codebooks, and the rules that concern several
// elements. Clause: format 3.
#pragma once

#include <cstdint>
#include <span>

#include "generated/units.hpp"
#include "nnr/memory.hpp"
#include "parser.hpp"

namespace nnr {

// A broken rule. `place` is the element at fault; none stands for the payload.
struct Problem {
  nnr_status status = NNR_OK;
  syntax::Watch place;
  const char* element = "";
  const char* clause = "format 3";
  const char* text = "";

  [[nodiscard]] bool ok() const { return status == NNR_OK; }
};

// Products that may exceed 64 bits are held at the largest value.
[[nodiscard]] std::uint64_t saturating_product(std::uint64_t a, std::uint64_t b);
[[nodiscard]] std::uint64_t saturating_sum(std::uint64_t a, std::uint64_t b);

struct CodebookValues {
  std::span<const std::int32_t> values;  // empty without a codebook
  std::uint32_t zero = 0;                // CbZeroOffset
};

// In the order of names of a block.
enum class Role : std::uint8_t { kWeight, kG, kH, kLocalScaling, kBeta, kGamma, kMean, kVar, kBias };

struct TensorPlan {
  Role role = Role::kWeight;
  std::size_t name_index = 0;
  std::span<const std::uint64_t> shape;
  std::uint64_t n_elements = 0;
  CodebookValues codebook;

  [[nodiscard]] bool scanned() const { return role <= Role::kH; }
  [[nodiscard]] std::uint64_t rows() const { return shape.empty() ? 1 : shape[0]; }
  [[nodiscard]] std::uint64_t width() const {
    std::uint64_t product = 1;
    for (std::size_t i = 1; i < shape.size(); ++i) product = saturating_product(product, shape[i]);
    return product;
  }
};

struct DataUnit {
  const syntax::NnrCompressedDataUnitHeader* header = nullptr;
  std::span<const syntax::Bytes> names;
  std::span<const std::uint64_t> shape;
  CodebookValues codebooks[2];
  std::uint64_t n_elements = 0;   // of all its tensors, as far as the header gives them
  std::span<TensorPlan> tensors;  // in the order of their data

  [[nodiscard]] bool is_block() const { return header->nnr_compressed_data_unit_payload_type == syntax::NNR_PT_BLOCK; }
  [[nodiscard]] bool decomposed() const { return (header->compressed_parameter_types & syntax::NNR_CPT_DC) != 0; }
};

// Checks the rules of format 7.4, item 7, and fills `unit` but for names and tensors.
[[nodiscard]] Problem read_header(const syntax::NnrCompressedDataUnitHeader& header, const nnr_limits& limits, Arena& arena,
                                  DataUnit& unit);

// Counts the elements of a unit whose shape is known, and checks the largest tensor against its limit.
[[nodiscard]] Problem count_elements(DataUnit& unit, const nnr_limits& limits);

// Lists the tensors of a unit whose names and shape are known.
[[nodiscard]] Problem plan_tensors(DataUnit& unit, Arena& arena);

}  // namespace nnr
