// SPDX-License-Identifier: Apache-2.0
#include "unit_decoder.hpp"

#include <algorithm>

#include "faults.hpp"
#include "nnr/dequantizer.hpp"
#include "payload_levels.hpp"

namespace nnr {

using namespace syntax;

TensorCoding coding_of(const CodedUnit& unit, std::size_t tensor, const RememberedTensor* previous) {
  const NnrCompressedDataUnitHeader& header = *unit.data.header;
  const TensorPlan& plan = unit.data.tensors[tensor];
  TensorCoding coding;
  coding.rows = plan.rows();
  coding.width = plan.width();
  coding.scan_order = plan.scanned() ? static_cast<int>(header.scan_order) : 0;
  if (header.has_cabac_unary_length_minus1) coding.unary_length = static_cast<int>(header.cabac_unary_length_minus1) + 1;
  // dq_flag has no effect on integers.
  coding.dependent = header.dq_flag != 0 && !unit.is_integer();
  coding.profile1 = unit.general_profile_idc == 1;
  coding.parent_present = header.has_parent_node_id_type;
  coding.qp_bits = unit.is_integer() ? 0 : 6 + static_cast<int>(unit.quantisation.qp_density);
  // Profile 0 codes codebook indices as if there were no codebook.
  if (coding.profile1) {
    coding.codebook_size = static_cast<std::int64_t>(plan.codebook.values.size());
    coding.codebook_zero = plan.codebook.zero;
  }
  if (previous != nullptr) {
    coding.base = header.temporal_context_modeling_flag != 0 ? previous->levels : nullptr;
    coding.history = previous->history;
  }
  return coding;
}

Fault check_shapes(const CodedUnit& unit, std::span<const RememberedTensor> previous) {
  const bool alike = std::ranges::equal(
      previous, unit.data.tensors,
      [](const RememberedTensor& before, const TensorPlan& tensor) { return std::ranges::equal(before.shape, tensor.shape); });
  if (previous.empty() || alike) return {};
  return unit.fault({NNR_MALFORMED, {}, "tensor_dimensions", "format 5.6", "the previous update has other shapes"},
                    NNR_STAGE_SEQUENCE);
}

Fault check_quantisation(const CodedUnit& unit) {
  if (unit.is_integer() || unit.quantisation.known) return {};
  return unit.fault({NNR_MALFORMED, {}, "mps_quantization_method_flags", "format 4", "no parameter set gives the quantisation"},
                    NNR_STAGE_PAYLOAD);
}

Fault check_levels(const CodedUnit& unit, std::size_t tensor, std::span<const std::int32_t> levels) {
  const CodebookValues& codebook = unit.data.tensors[tensor].codebook;
  if (unit.is_integer() || codebook.values.empty() || are_in_codebook(levels, codebook.values, codebook.zero)) return {};
  return unit.fault({NNR_MALFORMED, {}, "nnr_compressed_data_unit_payload", "format 4", "a level lies outside the codebook"},
                    NNR_STAGE_RECONSTRUCTION);
}

Fault decode_levels(const CodedUnit& unit, std::span<const RememberedTensor> previous, std::span<std::int32_t* const> levels,
                    std::span<std::int32_t> qp_values, const nnr_allocator& allocator) {
  if (const Fault fault = check_quantisation(unit); fault.status != NNR_OK) return fault;
  const std::size_t count = unit.data.tensors.size();
  TensorCoding codings[kMaxTensors];
  std::uint64_t n_row_flags = 0;
  for (std::size_t i = 0; i < count; ++i) {
    codings[i] = coding_of(unit, i, previous.empty() ? nullptr : &previous[i]);
    if (codings[i].has_row_skip_flag()) n_row_flags = std::max(n_row_flags, codings[i].rows);
  }
  Buffer<std::uint8_t> row_flags;
  if (n_row_flags > 0 && !row_flags.allocate(allocator, n_row_flags)) return out_of_memory();
  Fault fault = decode_levels_of(unit.payload, {codings, count}, levels, qp_values.data(), row_flags.data());
  if (fault.status != NNR_OK) {
    fault.bit_offset += unit.payload_bit_offset();
    return fault;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!unit.is_integer()) qp_values[i] += unit.quantisation.quantization_parameter;
    fault = check_levels(unit, i, {levels[i], static_cast<std::size_t>(unit.data.tensors[i].n_elements)});
    if (fault.status != NNR_OK) return fault;
  }
  return {};
}

void dequantize_levels(const CodedUnit& unit, std::size_t tensor, std::int32_t qp, std::span<std::int32_t> levels) {
  const CodebookValues& codebook = unit.data.tensors[tensor].codebook;
  dequantize_in_place(levels.data(), levels.size(), step_size(qp, static_cast<int>(unit.quantisation.qp_density)),
                      codebook.values, codebook.zero);
}

Fault read_raw_values(const CodedUnit& unit, void* values) {
  if (unit.payload.size() % 4 != 0 || unit.payload.size() / 4 != unit.data.tensors[0].n_elements)
    return unit.fault({NNR_MALFORMED, {}, "raw_float32_parameter", "format 3", "the payload does not hold the tensor's values"},
                      NNR_STAGE_PAYLOAD);
  if (values != nullptr) copy_raw_values(unit.payload, values);
  return {};
}

}  // namespace nnr
