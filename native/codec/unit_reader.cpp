// SPDX-License-Identifier: Apache-2.0
// StreamDecoder::read_unit: the payload of the current data unit.
// Clause: format 3.5, 4, 5.
#include "faults.hpp"
#include "nnr/dequantizer.hpp"
#include "stream_decoder.hpp"

namespace nnr {

using namespace syntax;

Fault StreamDecoder::read_unit(nnr_content content, void* const* buffers) {
  can_read_ = false;
  if (carried_ != nullptr) return read_carried(buffers);
  return content == NNR_VALUES && buffers != nullptr ? read_values(buffers) : read_coded(content, buffers);
}

Fault StreamDecoder::read_coded(nnr_content content, void* const* buffers) {
  const bool is_raw = data_.header->nnr_compressed_data_unit_payload_type == NNR_PT_RAW_FLOAT;
  return in_stream(is_raw ? read_raw(buffers) : decode_codeword(content, buffers));
}

Fault StreamDecoder::read_raw(void* const* buffers) const {
  if (payload_.size() % 4 != 0 || payload_.size() / 4 != data_.tensors[0].n_elements)
    return payload_fault(
        {NNR_MALFORMED, {}, "raw_float32_parameter", "format 3", "the payload does not hold the tensor's values"},
        NNR_STAGE_PAYLOAD);
  if (buffers != nullptr && buffers[0] != nullptr) copy_raw_values(payload_, buffers[0]);
  return {};
}

Fault StreamDecoder::decode_codeword(nnr_content content, void* const* buffers) {
  const NnrCompressedDataUnitHeader& header = *data_.header;
  const bool is_integer = header.nnr_compressed_data_unit_payload_type == NNR_PT_INT;
  const Quantisation& quantisation = state_.quantisation;
  if (!is_integer && !quantisation.known)
    return payload_fault(
        {NNR_MALFORMED, {}, "mps_quantization_method_flags", "format 4", "no parameter set gives the quantisation"},
        NNR_STAGE_PAYLOAD);
  const std::size_t count = data_.tensors.size();
  auto* const codings = arena_.make<TensorCoding>(count);
  auto* const levels = arena_.make<std::int32_t*>(count);
  auto* const qp_values = arena_.make<std::int32_t>(count);
  // Levels that the caller does not take.
  Buffer<std::int32_t> scratch[9];
  Buffer<std::uint8_t> row_flags;
  std::uint64_t n_row_flags = 0;
  if (codings == nullptr || levels == nullptr || qp_values == nullptr) return out_of_memory();
  for (std::size_t i = 0; i < count; ++i) {
    const TensorPlan& plan = data_.tensors[i];
    TensorCoding& coding = codings[i];
    coding.rows = plan.rows();
    coding.width = plan.width();
    coding.scan_order = plan.scanned() ? static_cast<int>(header.scan_order) : 0;
    if (header.has_cabac_unary_length_minus1) coding.unary_length = static_cast<int>(header.cabac_unary_length_minus1) + 1;
    // dq_flag has no effect on integers.
    coding.dependent = header.dq_flag != 0 && !is_integer;
    coding.profile1 = state_.general_profile_idc == 1;
    coding.parent_present = header.has_parent_node_id_type;
    coding.qp_bits = is_integer ? 0 : 6 + static_cast<int>(quantisation.qp_density);
    // Profile 0 codes codebook indices as if there were no codebook.
    if (coding.profile1) {
      coding.codebook_size = static_cast<std::int64_t>(plan.codebook.values.size());
      coding.codebook_zero = plan.codebook.zero;
    }
    if (!previous_.empty()) {
      coding.base = header.temporal_context_modeling_flag != 0 ? previous_[i].levels : nullptr;
      coding.history = previous_[i].history;
    }
    if (coding.has_row_skip_flag()) n_row_flags = coding.rows > n_row_flags ? coding.rows : n_row_flags;
    levels[i] = buffers == nullptr ? nullptr : static_cast<std::int32_t*>(buffers[plan.name_index]);
    if (levels[i] == nullptr) {
      if (!scratch[i].allocate(options_.allocator, plan.n_elements)) return out_of_memory();
      levels[i] = scratch[i].data();
    }
  }
  if (!row_flags.allocate(options_.allocator, n_row_flags)) return out_of_memory();
  Fault fault = decode_levels_of(payload_, {codings, count}, {levels, count}, qp_values, row_flags.data());
  if (fault.status != NNR_OK) {
    fault.bit_offset += 8 * (span_.end - payload_.size());
    return fault;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const TensorPlan& plan = data_.tensors[i];
    if (is_integer) continue;
    const CodebookValues& codebook = plan.codebook;
    if (!codebook.values.empty() &&
        !are_in_codebook({levels[i], static_cast<std::size_t>(plan.n_elements)}, codebook.values, codebook.zero))
      return payload_fault(
          {NNR_MALFORMED, {}, "nnr_compressed_data_unit_payload", "format 4", "a level lies outside the codebook"},
          NNR_STAGE_RECONSTRUCTION);
    nnr_tensor& tensor = tensors_[plan.name_index];
    tensor.qp = qp_values[i] + quantisation.quantization_parameter;
    tensor.qp_density = quantisation.qp_density;
    tensor.step_size = step_size(tensor.qp, static_cast<int>(quantisation.qp_density));
  }
  if (state_.parent_signalling && !headers_only_ && !updates_.remember(data_, payload_, {levels, count}, previous_))
    return out_of_memory();
  if (content == NNR_LEVELS || is_integer || buffers == nullptr) return {};
  for (std::size_t i = 0; i < count; ++i) {
    const TensorPlan& plan = data_.tensors[i];
    if (buffers[plan.name_index] != nullptr)
      dequantize_in_place(levels[i], plan.n_elements, tensors_[plan.name_index].step_size, plan.codebook.values,
                          plan.codebook.zero);
  }
  return {};
}

}  // namespace nnr
