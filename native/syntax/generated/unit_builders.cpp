// SPDX-License-Identifier: Apache-2.0
// Generated from nnr_codec/syntax by `python -m tools.codegen`. Not to be edited.
#include "units.hpp"

#include "../builder.hpp"
#include "../callables.hpp"

namespace nnr::syntax {

namespace {

bool build_nnr_start_unit_header(Builder& b, const NnrStartUnitHeader& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::general_profile_idc);
  s.general_profile_idc = t.general_profile_idc;
  if (t.general_profile_idc > 1) return b.refuse(NNR_UNSUPPORTED, "the format allows 0..1");
  if (!b.write_u(8, t.general_profile_idc)) return false;
  return true;
}

bool build_nnr_model_parameter_set_unit_header(Builder& b, const NnrModelParameterSetUnitHeader& t) {
  static_cast<void>(b);
  static_cast<void>(t);
  return true;
}

bool build_nnr_layer_parameter_set_unit_header(Builder& b, const NnrLayerParameterSetUnitHeader& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::lps_self_contained_flag);
  if (!b.write_u(1, t.lps_self_contained_flag)) return false;
  b.begin(ElementId::nnr_reserved_zero_7bits);
  if (t.nnr_reserved_zero_7bits != 0) return b.refuse(NNR_MALFORMED, "the format allows only 0");
  if (!b.write_u(7, t.nnr_reserved_zero_7bits)) return false;
  return true;
}

bool build_nnr_topology_unit_header(Builder& b, const NnrTopologyUnitHeader& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::topology_storage_format);
  s.topology_storage_format = t.topology_storage_format;
  if (t.topology_storage_format > 6) return b.refuse(NNR_MALFORMED, "the format allows the values of TopologyStorageFormat");
  if (!b.write_u(8, t.topology_storage_format)) return false;
  b.begin(ElementId::topology_compression_format);
  if (t.topology_compression_format > 1) return b.refuse(NNR_MALFORMED, "the format allows the values of TopologyCompressionFormat");
  if (!b.write_u(8, t.topology_compression_format)) return false;
  return true;
}

bool build_nnr_quantization_unit_header(Builder& b, const NnrQuantizationUnitHeader& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::quantization_storage_format);
  if (!b.write_u(8, t.quantization_storage_format)) return false;
  b.begin(ElementId::quantization_compression_format);
  s.quantization_compression_format = t.quantization_compression_format;
  if (t.quantization_compression_format > 1) return b.refuse(NNR_MALFORMED, "the format allows the values of TopologyCompressionFormat");
  if (!b.write_u(8, t.quantization_compression_format)) return false;
  return true;
}

bool build_topology_elements_ids_list_0(Builder& b, const TopologyElementsIdsList& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::count_topology_elements_minus2);
  s.count_topology_elements_minus2 = t.count_topology_elements_minus2;
  if (!b.write_ue(7, t.count_topology_elements_minus2)) return false;
  b.begin(ElementId::byte_alignment);
  if (!b.write_byte_alignment(t.byte_alignment)) return false;
  {
    const std::int64_t count = s.count_topology_elements_minus2 + 2;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.topology_elem_id_list.size() != size) return b.refuse_missing("topology_elem_id_list");
    for (std::uint64_t index = 0; index < size; ++index) {
      b.begin(ElementId::topology_elem_id_list);
      if (!b.write_st(t.topology_elem_id_list[index])) return false;
    }
  }
  return true;
}

bool build_topology_elements_ids_list_1(Builder& b, const TopologyElementsIdsList& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::count_topology_elements_minus2);
  s.count_topology_elements_minus2 = t.count_topology_elements_minus2;
  if (!b.write_ue(7, t.count_topology_elements_minus2)) return false;
  {
    const std::int64_t count = s.count_topology_elements_minus2 + 2;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.topology_elem_id_index_list.size() != size) return b.refuse_missing("topology_elem_id_index_list");
    for (std::uint64_t index = 0; index < size; ++index) {
      b.begin(ElementId::topology_elem_id_index_list);
      s.topology_elem_id_index_list = t.topology_elem_id_index_list[index];
      if (!(s.topology_elem_id_index_list < s.NumReferences)) return b.refuse(NNR_MALFORMED, "topology_elem_id_index_list < NumReferences does not hold");
      if (!b.write_ue(7, t.topology_elem_id_index_list[index])) return false;
    }
  }
  b.begin(ElementId::byte_alignment);
  if (!b.write_byte_alignment(t.byte_alignment)) return false;
  return true;
}

bool build_codebook(Builder& b, const Codebook& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::codebook_egk);
  s.codebook_egk = t.codebook_egk;
  if (!b.write_u(4, t.codebook_egk)) return false;
  b.begin(ElementId::codebook_size);
  s.codebook_size = t.codebook_size;
  if (!b.write_ue(2, t.codebook_size)) return false;
  b.begin(ElementId::codebook_center_offset);
  s.codebook_center_offset = t.codebook_center_offset;
  if (!((0 <= (s.codebook_size >> 1) + s.codebook_center_offset && (s.codebook_size >> 1) + s.codebook_center_offset < s.codebook_size))) return b.refuse(NNR_MALFORMED, "0 <= (codebook_size >> 1) + codebook_center_offset < codebook_size does not hold");
  if (!b.write_ie(2, t.codebook_center_offset)) return false;
  b.begin(ElementId::codebook_zero_value);
  if (!b.write_ie(7, t.codebook_zero_value)) return false;
  s.CbZeroOffset = (s.codebook_size >> 1) + s.codebook_center_offset;
  {
    const std::int64_t count = s.CbZeroOffset;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.codebook_delta_left.size() != size) return b.refuse_missing("codebook_delta_left");
    for (std::uint64_t index = 0; index < size; ++index) {
      b.begin(ElementId::codebook_delta_left);
      if (!b.write_ue(s.codebook_egk, t.codebook_delta_left[index])) return false;
    }
  }
  {
    const std::int64_t count = (s.codebook_size - 1) - s.CbZeroOffset;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.codebook_delta_right.size() != size) return b.refuse_missing("codebook_delta_right");
    for (std::uint64_t index = 0; index < size; ++index) {
      b.begin(ElementId::codebook_delta_right);
      if (!b.write_ue(s.codebook_egk, t.codebook_delta_right[index])) return false;
    }
  }
  return true;
}

bool build_nnr_compressed_data_unit_header_cabac_entry_point(Builder& b, const NnrCompressedDataUnitHeaderCabacEntryPoint& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::cabac_offset_value);
  if (!b.write_u(8, t.cabac_offset_value)) return false;
  if (s.dq_flag == 1) {
    if (!t.has_dq_state) return b.refuse_missing("dq_state");
    b.begin(ElementId::dq_state);
    if (!b.write_u(3, t.dq_state)) return false;
  }
  if (s.j == 0) {
    if (!t.has_bit_offset_delta1) return b.refuse_missing("bit_offset_delta1");
    b.begin(ElementId::bit_offset_delta1);
    if (!b.write_ue(11, t.bit_offset_delta1)) return false;
  } else {
    if (!t.has_bit_offset_delta2) return b.refuse_missing("bit_offset_delta2");
    b.begin(ElementId::bit_offset_delta2);
    if (!b.write_ie(7, t.bit_offset_delta2)) return false;
  }
  return true;
}

bool build_nnr_compressed_data_unit_header(Builder& b, const NnrCompressedDataUnitHeader& t) {
  [[maybe_unused]] Scope& s = b.scope;
  s.codebook_present_flag = 0;
  s.dq_flag = 0;
  s.compressed_parameter_types = 0;
  s.count_tensor_dimensions = 0;
  b.begin(ElementId::nnr_compressed_data_unit_payload_type);
  s.nnr_compressed_data_unit_payload_type = t.nnr_compressed_data_unit_payload_type;
  if (t.nnr_compressed_data_unit_payload_type > 3) return b.refuse(NNR_MALFORMED, "the format allows the values of PayloadType");
  if (!b.write_u(5, t.nnr_compressed_data_unit_payload_type)) return false;
  b.begin(ElementId::nnr_multiple_topology_elements_present_flag);
  s.nnr_multiple_topology_elements_present_flag = t.nnr_multiple_topology_elements_present_flag;
  if (!(s.nnr_multiple_topology_elements_present_flag == 0 || s.nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK)) return b.refuse(NNR_UNSUPPORTED, "nnr_multiple_topology_elements_present_flag == 0 || nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK does not hold");
  if (!b.write_u(1, t.nnr_multiple_topology_elements_present_flag)) return false;
  b.begin(ElementId::nnr_decompressed_data_format_present_flag);
  s.nnr_decompressed_data_format_present_flag = t.nnr_decompressed_data_format_present_flag;
  if (!b.write_u(1, t.nnr_decompressed_data_format_present_flag)) return false;
  b.begin(ElementId::input_parameters_present_flag);
  s.input_parameters_present_flag = t.input_parameters_present_flag;
  if (!b.write_u(1, t.input_parameters_present_flag)) return false;
  if (s.nnr_multiple_topology_elements_present_flag == 1) {
    if (s.mps_topology_indexed_reference_flag == 0) {
      if (!t.has_topology_elements_ids_list) return b.refuse_missing("topology_elements_ids_list");
      if (!build_topology_elements_ids_list_0(b, t.topology_elements_ids_list)) return false;
    } else {
      if (!t.has_topology_elements_ids_list) return b.refuse_missing("topology_elements_ids_list");
      if (!build_topology_elements_ids_list_1(b, t.topology_elements_ids_list)) return false;
    }
  } else {
    if (s.mps_topology_indexed_reference_flag == 0) {
      if (!t.has_topology_elem_id) return b.refuse_missing("topology_elem_id");
      b.begin(ElementId::topology_elem_id);
      if (!b.write_st(t.topology_elem_id)) return false;
    } else {
      if (!t.has_topology_elem_id_index) return b.refuse_missing("topology_elem_id_index");
      b.begin(ElementId::topology_elem_id_index);
      s.topology_elem_id_index = t.topology_elem_id_index;
      if (!(s.topology_elem_id_index < s.NumReferences)) return b.refuse(NNR_MALFORMED, "topology_elem_id_index < NumReferences does not hold");
      if (!b.write_ue(7, t.topology_elem_id_index)) return false;
    }
  }
  if (s.general_profile_idc == 1) {
    if (!t.has_node_id_present_flag) return b.refuse_missing("node_id_present_flag");
    b.begin(ElementId::node_id_present_flag);
    s.node_id_present_flag = t.node_id_present_flag;
    if (!b.write_u(1, t.node_id_present_flag)) return false;
    if (s.node_id_present_flag == 1) {
      if (!t.has_device_id) return b.refuse_missing("device_id");
      b.begin(ElementId::device_id);
      if (!b.write_ue(1, t.device_id)) return false;
      if (!t.has_parameter_id) return b.refuse_missing("parameter_id");
      b.begin(ElementId::parameter_id);
      if (!b.write_ue(5, t.parameter_id)) return false;
      if (!t.has_put_node_depth) return b.refuse_missing("put_node_depth");
      b.begin(ElementId::put_node_depth);
      if (!b.write_ue(4, t.put_node_depth)) return false;
    }
    if (s.mps_parent_signalling_enabled_flag == 1) {
      if (!t.has_parent_node_id_present_flag) return b.refuse_missing("parent_node_id_present_flag");
      b.begin(ElementId::parent_node_id_present_flag);
      s.parent_node_id_present_flag = t.parent_node_id_present_flag;
      if (!b.write_u(1, t.parent_node_id_present_flag)) return false;
      if (s.parent_node_id_present_flag == 1) {
        if (!t.has_parent_node_id_type) return b.refuse_missing("parent_node_id_type");
        b.begin(ElementId::parent_node_id_type);
        s.parent_node_id_type = t.parent_node_id_type;
        if (t.parent_node_id_type > 2) return b.refuse(NNR_MALFORMED, "the format allows the values of ParentNodeIdType");
        if (!b.write_u(2, t.parent_node_id_type)) return false;
        if (!t.has_temporal_context_modeling_flag) return b.refuse_missing("temporal_context_modeling_flag");
        b.begin(ElementId::temporal_context_modeling_flag);
        if (!b.write_u(1, t.temporal_context_modeling_flag)) return false;
        if (s.parent_node_id_type == ICNN_NDU_ID) {
          if (!t.has_parent_device_id) return b.refuse_missing("parent_device_id");
          b.begin(ElementId::parent_device_id);
          if (!b.write_ue(1, t.parent_device_id)) return false;
          if (s.node_id_present_flag == 0) {
            if (!t.has_parameter_id) return b.refuse_missing("parameter_id");
            b.begin(ElementId::parameter_id);
            if (!b.write_ue(5, t.parameter_id)) return false;
            if (!t.has_put_node_depth) return b.refuse_missing("put_node_depth");
            b.begin(ElementId::put_node_depth);
            if (!b.write_ue(4, t.put_node_depth)) return false;
          }
        }
        if (s.parent_node_id_type == ICNN_NDU_PL_SHA256) {
          if (!t.has_parent_node_payload_sha256) return b.refuse_missing("parent_node_payload_sha256");
          b.begin(ElementId::parent_node_payload_sha256);
          if (!b.write_wide_u(t.parent_node_payload_sha256)) return false;
        }
        if (s.parent_node_id_type == ICNN_NDU_PL_SHA512) {
          if (!t.has_parent_node_payload_sha512) return b.refuse_missing("parent_node_payload_sha512");
          b.begin(ElementId::parent_node_payload_sha512);
          if (!b.write_wide_u(t.parent_node_payload_sha512)) return false;
        }
      }
    }
  }
  if ((s.nnr_compressed_data_unit_payload_type == NNR_PT_FLOAT || s.nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK)) {
    if (!t.has_codebook_present_flag) return b.refuse_missing("codebook_present_flag");
    b.begin(ElementId::codebook_present_flag);
    s.codebook_present_flag = t.codebook_present_flag;
    if (!b.write_u(1, t.codebook_present_flag)) return false;
    if (s.codebook_present_flag == 1) {
      if (!t.has_codebook) return b.refuse_missing("codebook");
      if (!build_codebook(b, t.codebook)) return false;
    }
  }
  if ((s.nnr_compressed_data_unit_payload_type == NNR_PT_INT || s.nnr_compressed_data_unit_payload_type == NNR_PT_FLOAT || s.nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK)) {
    if (!t.has_dq_flag) return b.refuse_missing("dq_flag");
    b.begin(ElementId::dq_flag);
    s.dq_flag = t.dq_flag;
    if (!b.write_u(1, t.dq_flag)) return false;
  }
  if (s.nnr_decompressed_data_format_present_flag == 1) {
    if (!t.has_nnr_decompressed_data_format) return b.refuse_missing("nnr_decompressed_data_format");
    b.begin(ElementId::nnr_decompressed_data_format);
    if (t.nnr_decompressed_data_format > 9) return b.refuse(NNR_MALFORMED, "the format allows the values of DecompressedDataFormat");
    if (!b.write_u(7, t.nnr_decompressed_data_format)) return false;
  }
  if (s.input_parameters_present_flag == 1) {
    if (!t.has_tensor_dimensions_flag) return b.refuse_missing("tensor_dimensions_flag");
    b.begin(ElementId::tensor_dimensions_flag);
    s.tensor_dimensions_flag = t.tensor_dimensions_flag;
    if (!b.write_u(1, t.tensor_dimensions_flag)) return false;
    if (!t.has_cabac_unary_length_flag) return b.refuse_missing("cabac_unary_length_flag");
    b.begin(ElementId::cabac_unary_length_flag);
    s.cabac_unary_length_flag = t.cabac_unary_length_flag;
    if (!b.write_u(1, t.cabac_unary_length_flag)) return false;
    if (!t.has_compressed_parameter_types) return b.refuse_missing("compressed_parameter_types");
    b.begin(ElementId::compressed_parameter_types);
    s.compressed_parameter_types = t.compressed_parameter_types;
    if (!b.write_u(4, t.compressed_parameter_types)) return false;
    if ((s.compressed_parameter_types & NNR_CPT_DC) != 0) {
      if (!t.has_decomposition_rank) return b.refuse_missing("decomposition_rank");
      b.begin(ElementId::decomposition_rank);
      if (!b.write_ue(3, t.decomposition_rank)) return false;
      if (!t.has_g_number_of_rows) return b.refuse_missing("g_number_of_rows");
      b.begin(ElementId::g_number_of_rows);
      if (!b.write_ue(3, t.g_number_of_rows)) return false;
    }
    if (s.tensor_dimensions_flag == 1) {
      if (!t.has_count_tensor_dimensions) return b.refuse_missing("count_tensor_dimensions");
      b.begin(ElementId::count_tensor_dimensions);
      s.count_tensor_dimensions = t.count_tensor_dimensions;
      if (!b.write_ue(1, t.count_tensor_dimensions)) return false;
      if (!t.has_tensor_dimensions) return b.refuse_missing("tensor_dimensions");
      {
        const std::int64_t count = s.count_tensor_dimensions;
        const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
        if (t.tensor_dimensions.size() != size) return b.refuse_missing("tensor_dimensions");
        for (std::uint64_t index = 0; index < size; ++index) {
          b.begin(ElementId::tensor_dimensions);
          if (!b.write_ue(7, t.tensor_dimensions[index])) return false;
        }
      }
    }
    if (s.nnr_compressed_data_unit_payload_type != NNR_PT_BLOCK && s.nnr_multiple_topology_elements_present_flag == 1) {
      b.begin(ElementId::topology_tensor_dimension_mapping);
      if (!b.write_unsupported()) return false;
    }
    if (s.cabac_unary_length_flag == 1) {
      if (!t.has_cabac_unary_length_minus1) return b.refuse_missing("cabac_unary_length_minus1");
      b.begin(ElementId::cabac_unary_length_minus1);
      if (!b.write_u(8, t.cabac_unary_length_minus1)) return false;
    }
  }
  if (s.nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK && (s.compressed_parameter_types & NNR_CPT_DC) != 0 && s.codebook_present_flag == 1) {
    if (!t.has_second_codebook) return b.refuse_missing("second_codebook");
    if (!build_codebook(b, t.second_codebook)) return false;
  }
  if (s.count_tensor_dimensions > 1) {
    if (s.general_profile_idc == 1) {
      if (!t.has_first_tensor_dimension_shift) return b.refuse_missing("first_tensor_dimension_shift");
      b.begin(ElementId::first_tensor_dimension_shift);
      if (!b.write_ue(1, t.first_tensor_dimension_shift)) return false;
    }
    if (!t.has_scan_order) return b.refuse_missing("scan_order");
    b.begin(ElementId::scan_order);
    s.scan_order = t.scan_order;
    if (t.scan_order > 4) return b.refuse(NNR_MALFORMED, "the format allows 0..4");
    if (!b.write_u(4, t.scan_order)) return false;
    if (s.scan_order > 0) {
      s.NumEntryPoints = number_of_entry_points(b.reference_list, t);
      if (!t.has_cabac_entry_point) return b.refuse_missing("cabac_entry_point");
      {
        const std::int64_t count = s.NumEntryPoints;
        const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
        if (t.cabac_entry_point.size() != size) return b.refuse_missing("cabac_entry_point");
        for (std::uint64_t index = 0; index < size; ++index) {
          s.j = static_cast<std::int64_t>(index);
          if (!build_nnr_compressed_data_unit_header_cabac_entry_point(b, t.cabac_entry_point[index])) return false;
        }
      }
    }
  }
  b.begin(ElementId::byte_alignment);
  if (!b.write_byte_alignment(t.byte_alignment)) return false;
  return true;
}

bool build_nnr_aggregate_unit_header(Builder& b, const NnrAggregateUnitHeader& t) {
  static_cast<void>(b);
  static_cast<void>(t);
  return true;
}

bool build_nnr_start_unit_payload(Builder& b, const NnrStartUnitPayload& t) {
  static_cast<void>(b);
  static_cast<void>(t);
  return true;
}

bool build_sparsification_performance_map_entry(Builder& b, const SparsificationPerformanceMapEntry& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::sparsification_threshold);
  if (!b.write_flt(t.sparsification_threshold)) return false;
  b.begin(ElementId::non_zero_ratio);
  if (!b.write_flt(t.non_zero_ratio)) return false;
  b.begin(ElementId::spm_nn_accuracy);
  if (!b.write_flt(t.spm_nn_accuracy)) return false;
  b.begin(ElementId::spm_count_classes);
  s.spm_count_classes = t.spm_count_classes;
  if (!b.write_u(8, t.spm_count_classes)) return false;
  b.begin(ElementId::spm_class_bitmask);
  if (!b.write_wide_ue(7, t.spm_class_bitmask)) return false;
  {
    const std::int64_t count = s.spm_count_classes;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.spm_nn_class_accuracy.size() != size) return b.refuse_missing("spm_nn_class_accuracy");
    for (std::uint64_t index = 0; index < size; ++index) {
      b.begin(ElementId::spm_nn_class_accuracy);
      if (!b.write_flt(t.spm_nn_class_accuracy[index])) return false;
    }
  }
  return true;
}

bool build_sparsification_performance_map(Builder& b, const SparsificationPerformanceMap& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::spm_count_thresholds);
  s.spm_count_thresholds = t.spm_count_thresholds;
  if (!b.write_u(8, t.spm_count_thresholds)) return false;
  {
    const std::int64_t count = s.spm_count_thresholds - 1;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.entry.size() != size) return b.refuse_missing("entry");
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!build_sparsification_performance_map_entry(b, t.entry[index])) return false;
    }
  }
  return true;
}

bool build_pruning_performance_map_entry(Builder& b, const PruningPerformanceMapEntry& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::pruning_ratio);
  if (!b.write_flt(t.pruning_ratio)) return false;
  b.begin(ElementId::ppm_nn_accuracy);
  if (!b.write_flt(t.ppm_nn_accuracy)) return false;
  b.begin(ElementId::ppm_count_classes);
  s.ppm_count_classes = t.ppm_count_classes;
  if (!b.write_u(8, t.ppm_count_classes)) return false;
  b.begin(ElementId::ppm_class_bitmask);
  if (!b.write_wide_ue(7, t.ppm_class_bitmask)) return false;
  {
    const std::int64_t count = s.ppm_count_classes;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.ppm_nn_class_accuracy.size() != size) return b.refuse_missing("ppm_nn_class_accuracy");
    for (std::uint64_t index = 0; index < size; ++index) {
      b.begin(ElementId::ppm_nn_class_accuracy);
      if (!b.write_flt(t.ppm_nn_class_accuracy[index])) return false;
    }
  }
  return true;
}

bool build_pruning_performance_map(Builder& b, const PruningPerformanceMap& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::ppm_count_pruning_ratios);
  s.ppm_count_pruning_ratios = t.ppm_count_pruning_ratios;
  if (!b.write_u(8, t.ppm_count_pruning_ratios)) return false;
  {
    const std::int64_t count = s.ppm_count_pruning_ratios - 1;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.entry.size() != size) return b.refuse_missing("entry");
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!build_pruning_performance_map_entry(b, t.entry[index])) return false;
    }
  }
  return true;
}

bool build_unification_performance_map_entry(Builder& b, const UnificationPerformanceMapEntry& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::count_reshaped_tensor_dimension);
  s.count_reshaped_tensor_dimension = t.count_reshaped_tensor_dimension;
  if (!b.write_ue(1, t.count_reshaped_tensor_dimension)) return false;
  {
    const std::int64_t count = s.count_reshaped_tensor_dimension - 1;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.reshaped_tensor_dimensions.size() != size) return b.refuse_missing("reshaped_tensor_dimensions");
    for (std::uint64_t index = 0; index < size; ++index) {
      b.begin(ElementId::reshaped_tensor_dimensions);
      if (!b.write_ue(7, t.reshaped_tensor_dimensions[index])) return false;
    }
  }
  b.begin(ElementId::byte_alignment_2);
  if (!b.write_byte_alignment(t.byte_alignment)) return false;
  b.begin(ElementId::count_super_block_dimension);
  s.count_super_block_dimension = t.count_super_block_dimension;
  if (!b.write_u(8, t.count_super_block_dimension)) return false;
  {
    const std::int64_t count = s.count_super_block_dimension - 1;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.super_block_dimensions.size() != size) return b.refuse_missing("super_block_dimensions");
    for (std::uint64_t index = 0; index < size; ++index) {
      b.begin(ElementId::super_block_dimensions);
      if (!b.write_u(8, t.super_block_dimensions[index])) return false;
    }
  }
  b.begin(ElementId::count_block_dimension);
  s.count_block_dimension = t.count_block_dimension;
  if (!b.write_u(8, t.count_block_dimension)) return false;
  {
    const std::int64_t count = s.count_block_dimension - 1;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.block_dimensions.size() != size) return b.refuse_missing("block_dimensions");
    for (std::uint64_t index = 0; index < size; ++index) {
      b.begin(ElementId::block_dimensions);
      if (!b.write_u(8, t.block_dimensions[index])) return false;
    }
  }
  b.begin(ElementId::unification_threshold);
  if (!b.write_flt(t.unification_threshold)) return false;
  b.begin(ElementId::upm_nn_accuracy);
  if (!b.write_flt(t.upm_nn_accuracy)) return false;
  b.begin(ElementId::upm_count_classes);
  s.upm_count_classes = t.upm_count_classes;
  if (!b.write_u(8, t.upm_count_classes)) return false;
  b.begin(ElementId::upm_class_bitmask);
  if (!b.write_wide_ue(7, t.upm_class_bitmask)) return false;
  {
    const std::int64_t count = s.upm_count_classes;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.upm_nn_class_accuracy.size() != size) return b.refuse_missing("upm_nn_class_accuracy");
    for (std::uint64_t index = 0; index < size; ++index) {
      b.begin(ElementId::upm_nn_class_accuracy);
      if (!b.write_flt(t.upm_nn_class_accuracy[index])) return false;
    }
  }
  return true;
}

bool build_unification_performance_map(Builder& b, const UnificationPerformanceMap& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::upm_count_thresholds);
  s.upm_count_thresholds = t.upm_count_thresholds;
  if (!b.write_u(8, t.upm_count_thresholds)) return false;
  {
    const std::int64_t count = s.upm_count_thresholds - 1;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.entry.size() != size) return b.refuse_missing("entry");
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!build_unification_performance_map_entry(b, t.entry[index])) return false;
    }
  }
  return true;
}

bool build_decomposition_performance_map_entry(Builder& b, const DecompositionPerformanceMapEntry& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::mse_threshold);
  if (!b.write_flt(t.mse_threshold)) return false;
  b.begin(ElementId::dpm_nn_accuracy);
  if (!b.write_flt(t.dpm_nn_accuracy)) return false;
  b.begin(ElementId::nn_reduction_ratio);
  if (!b.write_flt(t.nn_reduction_ratio)) return false;
  b.begin(ElementId::dpm_count_classes);
  s.dpm_count_classes = t.dpm_count_classes;
  if (!b.write_u(16, t.dpm_count_classes)) return false;
  {
    const std::int64_t count = s.dpm_count_classes;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.dpm_nn_class_accuracy.size() != size) return b.refuse_missing("dpm_nn_class_accuracy");
    for (std::uint64_t index = 0; index < size; ++index) {
      b.begin(ElementId::dpm_nn_class_accuracy);
      if (!b.write_flt(t.dpm_nn_class_accuracy[index])) return false;
    }
  }
  return true;
}

bool build_decomposition_performance_map(Builder& b, const DecompositionPerformanceMap& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::dpm_count_thresholds);
  s.dpm_count_thresholds = t.dpm_count_thresholds;
  if (!b.write_u(8, t.dpm_count_thresholds)) return false;
  {
    const std::int64_t count = s.dpm_count_thresholds - 1;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (t.entry.size() != size) return b.refuse_missing("entry");
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!build_decomposition_performance_map_entry(b, t.entry[index])) return false;
    }
  }
  return true;
}

bool build_nnr_model_parameter_set_unit_payload(Builder& b, const NnrModelParameterSetUnitPayload& t) {
  [[maybe_unused]] Scope& s = b.scope;
  s.validation_set_performance_present_flag = 0;
  b.begin(ElementId::topology_carriage_flag);
  if (!b.write_u(1, t.topology_carriage_flag)) return false;
  b.begin(ElementId::mps_sparsification_flag);
  s.mps_sparsification_flag = t.mps_sparsification_flag;
  if (!b.write_u(1, t.mps_sparsification_flag)) return false;
  b.begin(ElementId::mps_pruning_flag);
  s.mps_pruning_flag = t.mps_pruning_flag;
  if (!b.write_u(1, t.mps_pruning_flag)) return false;
  b.begin(ElementId::mps_unification_flag);
  s.mps_unification_flag = t.mps_unification_flag;
  if (!b.write_u(1, t.mps_unification_flag)) return false;
  b.begin(ElementId::mps_decomposition_performance_map_flag);
  s.mps_decomposition_performance_map_flag = t.mps_decomposition_performance_map_flag;
  if (!b.write_u(1, t.mps_decomposition_performance_map_flag)) return false;
  b.begin(ElementId::mps_quantization_method_flags);
  s.mps_quantization_method_flags = t.mps_quantization_method_flags;
  if (!b.write_u(3, t.mps_quantization_method_flags)) return false;
  b.begin(ElementId::mps_topology_indexed_reference_flag);
  s.mps_topology_indexed_reference_flag = t.mps_topology_indexed_reference_flag;
  if (!b.write_u(1, t.mps_topology_indexed_reference_flag)) return false;
  if (s.general_profile_idc == 1) {
    if (!t.has_base_model_id_present_flag) return b.refuse_missing("base_model_id_present_flag");
    b.begin(ElementId::base_model_id_present_flag);
    s.base_model_id_present_flag = t.base_model_id_present_flag;
    if (!b.write_u(1, t.base_model_id_present_flag)) return false;
    if (!t.has_validation_set_performance_present_flag) return b.refuse_missing("validation_set_performance_present_flag");
    b.begin(ElementId::validation_set_performance_present_flag);
    s.validation_set_performance_present_flag = t.validation_set_performance_present_flag;
    if (!b.write_u(1, t.validation_set_performance_present_flag)) return false;
    if (!t.has_metric_type_performance_map_valid_flag) return b.refuse_missing("metric_type_performance_map_valid_flag");
    b.begin(ElementId::metric_type_performance_map_valid_flag);
    s.metric_type_performance_map_valid_flag = t.metric_type_performance_map_valid_flag;
    if (!b.write_u(1, t.metric_type_performance_map_valid_flag)) return false;
    if (!t.has_mps_parent_signalling_enabled_flag) return b.refuse_missing("mps_parent_signalling_enabled_flag");
    b.begin(ElementId::mps_parent_signalling_enabled_flag);
    s.mps_parent_signalling_enabled_flag = t.mps_parent_signalling_enabled_flag;
    if (!b.write_u(1, t.mps_parent_signalling_enabled_flag)) return false;
    if (s.mps_parent_signalling_enabled_flag == 1) {
      if (!t.has_nnr_pre_flag) return b.refuse_missing("nnr_pre_flag");
      b.begin(ElementId::nnr_pre_flag);
      if (!b.write_u(1, t.nnr_pre_flag)) return false;
    } else {
      if (!t.has_nnr_reserved_zero_1bit) return b.refuse_missing("nnr_reserved_zero_1bit");
      b.begin(ElementId::nnr_reserved_zero_1bit);
      if (t.nnr_reserved_zero_1bit != 0) return b.refuse(NNR_MALFORMED, "the format allows only 0");
      if (!b.write_u(1, t.nnr_reserved_zero_1bit)) return false;
    }
    if (!t.has_nnr_reserved_zero_2bits) return b.refuse_missing("nnr_reserved_zero_2bits");
    b.begin(ElementId::nnr_reserved_zero_2bits);
    if (t.nnr_reserved_zero_2bits != 0) return b.refuse(NNR_MALFORMED, "the format allows only 0");
    if (!b.write_u(2, t.nnr_reserved_zero_2bits)) return false;
    if (s.base_model_id_present_flag == 1) {
      if (!t.has_base_model_id) return b.refuse_missing("base_model_id");
      b.begin(ElementId::base_model_id);
      if (!b.write_st(t.base_model_id)) return false;
    }
    if (s.validation_set_performance_present_flag == 1 || s.metric_type_performance_map_valid_flag == 1) {
      if (!t.has_performance_metric_type) return b.refuse_missing("performance_metric_type");
      b.begin(ElementId::performance_metric_type);
      if (!b.write_st(t.performance_metric_type)) return false;
    }
  } else {
    if (!t.has_nnr_reserved_zero_7bits) return b.refuse_missing("nnr_reserved_zero_7bits");
    b.begin(ElementId::nnr_reserved_zero_7bits);
    if (t.nnr_reserved_zero_7bits != 0) return b.refuse(NNR_MALFORMED, "the format allows only 0");
    if (!b.write_u(7, t.nnr_reserved_zero_7bits)) return false;
  }
  if ((s.mps_quantization_method_flags & 3) != 0) {
    if (!t.has_mps_qp_density) return b.refuse_missing("mps_qp_density");
    b.begin(ElementId::mps_qp_density);
    if (!b.write_u(3, t.mps_qp_density)) return false;
    if (!t.has_mps_quantization_parameter) return b.refuse_missing("mps_quantization_parameter");
    b.begin(ElementId::mps_quantization_parameter);
    if (!b.write_i(13, t.mps_quantization_parameter)) return false;
  }
  if (s.mps_sparsification_flag == 1) {
    if (!t.has_sparsification_performance_map) return b.refuse_missing("sparsification_performance_map");
    if (!build_sparsification_performance_map(b, t.sparsification_performance_map)) return false;
  }
  if (s.mps_pruning_flag == 1) {
    if (!t.has_pruning_performance_map) return b.refuse_missing("pruning_performance_map");
    if (!build_pruning_performance_map(b, t.pruning_performance_map)) return false;
  }
  if (s.mps_unification_flag == 1) {
    if (!t.has_unification_performance_map) return b.refuse_missing("unification_performance_map");
    if (!build_unification_performance_map(b, t.unification_performance_map)) return false;
  }
  if (s.mps_decomposition_performance_map_flag == 1) {
    if (!t.has_decomposition_performance_map) return b.refuse_missing("decomposition_performance_map");
    if (!build_decomposition_performance_map(b, t.decomposition_performance_map)) return false;
  }
  if (s.general_profile_idc == 1 && s.validation_set_performance_present_flag == 1) {
    if (!t.has_validation_set_performance) return b.refuse_missing("validation_set_performance");
    b.begin(ElementId::validation_set_performance);
    if (!b.write_flt(t.validation_set_performance)) return false;
  }
  b.begin(ElementId::byte_alignment_2);
  if (!b.write_byte_alignment(t.byte_alignment)) return false;
  return true;
}

bool build_nnr_layer_parameter_set_unit_payload(Builder& b, const NnrLayerParameterSetUnitPayload& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::nnr_reserved_zero_1bit);
  if (t.nnr_reserved_zero_1bit != 0) return b.refuse(NNR_MALFORMED, "the format allows only 0");
  if (!b.write_u(1, t.nnr_reserved_zero_1bit)) return false;
  b.begin(ElementId::lps_sparsification_flag);
  s.lps_sparsification_flag = t.lps_sparsification_flag;
  if (!b.write_u(1, t.lps_sparsification_flag)) return false;
  b.begin(ElementId::lps_pruning_flag);
  s.lps_pruning_flag = t.lps_pruning_flag;
  if (!b.write_u(1, t.lps_pruning_flag)) return false;
  b.begin(ElementId::lps_unification_flag);
  s.lps_unification_flag = t.lps_unification_flag;
  if (!b.write_u(1, t.lps_unification_flag)) return false;
  b.begin(ElementId::lps_quantization_method_flags);
  s.lps_quantization_method_flags = t.lps_quantization_method_flags;
  if (!b.write_u(3, t.lps_quantization_method_flags)) return false;
  b.begin(ElementId::nnr_reserved_zero_1bit);
  if (t.nnr_reserved_zero_1bit_2 != 0) return b.refuse(NNR_MALFORMED, "the format allows only 0");
  if (!b.write_u(1, t.nnr_reserved_zero_1bit_2)) return false;
  if ((s.lps_quantization_method_flags & 3) != 0) {
    if (!t.has_lps_qp_density) return b.refuse_missing("lps_qp_density");
    b.begin(ElementId::lps_qp_density);
    if (!b.write_u(3, t.lps_qp_density)) return false;
    if (!t.has_lps_quantization_parameter) return b.refuse_missing("lps_quantization_parameter");
    b.begin(ElementId::lps_quantization_parameter);
    if (!b.write_i(13, t.lps_quantization_parameter)) return false;
  }
  if (s.lps_sparsification_flag == 1) {
    if (!t.has_sparsification_performance_map) return b.refuse_missing("sparsification_performance_map");
    if (!build_sparsification_performance_map(b, t.sparsification_performance_map)) return false;
  }
  if (s.lps_pruning_flag == 1) {
    if (!t.has_pruning_performance_map) return b.refuse_missing("pruning_performance_map");
    if (!build_pruning_performance_map(b, t.pruning_performance_map)) return false;
  }
  if (s.lps_unification_flag == 1) {
    if (!t.has_unification_performance_map) return b.refuse_missing("unification_performance_map");
    if (!build_unification_performance_map(b, t.unification_performance_map)) return false;
  }
  b.begin(ElementId::byte_alignment_2);
  if (!b.write_byte_alignment(t.byte_alignment)) return false;
  return true;
}

bool build_nnr_topology_unit_payload(Builder& b, const NnrTopologyUnitPayload& t) {
  [[maybe_unused]] Scope& s = b.scope;
  switch (s.topology_storage_format) {
    case 5:
      if (!t.has_nnr_pruning_topology_container) return b.refuse_missing("nnr_pruning_topology_container");
      b.begin(ElementId::nnr_pruning_topology_container);
      if (!b.write_bs(t.nnr_pruning_topology_container)) return false;
      break;
    case 6:
      if (!t.has_topology_elements_ids_list) return b.refuse_missing("topology_elements_ids_list");
      if (!build_topology_elements_ids_list_0(b, t.topology_elements_ids_list)) return false;
      break;
    default:
      if (!t.has_topology_data) return b.refuse_missing("topology_data");
      b.begin(ElementId::topology_data);
      if (!b.write_bs(t.topology_data)) return false;
      break;
  }
  return true;
}

bool build_nnr_quantization_unit_payload(Builder& b, const NnrQuantizationUnitPayload& t) {
  [[maybe_unused]] Scope& s = b.scope;
  if (s.quantization_compression_format == 0) {
    if (!t.has_quantization_data) return b.refuse_missing("quantization_data");
    b.begin(ElementId::quantization_data);
    if (!b.write_st(t.quantization_data)) return false;
  } else {
    if (!t.has_quantization_data) return b.refuse_missing("quantization_data");
    b.begin(ElementId::quantization_data);
    if (!b.write_bs(t.quantization_data)) return false;
  }
  return true;
}

bool build_nnr_compressed_data_unit_payload(Builder& b, const NnrCompressedDataUnitPayload& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::nnr_compressed_data_unit_payload);
  if (!b.write_bs(t.nnr_compressed_data_unit_payload)) return false;
  return true;
}

bool build_nnr_aggregate_unit_payload(Builder& b, const NnrAggregateUnitPayload& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::nnr_aggregate_unit_body);
  if (!b.write_bs(t.nnr_aggregate_unit_body)) return false;
  return true;
}

}  // namespace

bool build_nnr_unit(Builder& b, const NnrUnit& t) {
  [[maybe_unused]] Scope& s = b.scope;
  b.begin(ElementId::nnr_unit_size_flag);
  s.nnr_unit_size_flag = t.nnr_unit_size_flag;
  if (!b.write_u(1, t.nnr_unit_size_flag)) return false;
  b.begin(ElementId::nnr_unit_size);
  if (!b.write_u(15 + (16 * s.nnr_unit_size_flag), t.nnr_unit_size)) return false;
  b.begin(ElementId::nnr_unit_type);
  s.nnr_unit_type = t.nnr_unit_type;
  if (!b.write_u(6, t.nnr_unit_type)) return false;
  b.begin(ElementId::independently_decodable_flag);
  if (!b.write_u(1, t.independently_decodable_flag)) return false;
  b.begin(ElementId::partial_data_counter_present_flag);
  s.partial_data_counter_present_flag = t.partial_data_counter_present_flag;
  if (!b.write_u(1, t.partial_data_counter_present_flag)) return false;
  if (s.partial_data_counter_present_flag == 1) {
    if (!t.has_partial_data_counter) return b.refuse_missing("partial_data_counter");
    b.begin(ElementId::partial_data_counter);
    if (!b.write_u(8, t.partial_data_counter)) return false;
  }
  switch (s.nnr_unit_type) {
    case 0:
      if (!build_nnr_start_unit_header(b, t.nnr_start_unit_header)) return false;
      break;
    case 1:
      if (!build_nnr_model_parameter_set_unit_header(b, t.nnr_model_parameter_set_unit_header)) return false;
      break;
    case 2:
      if (!build_nnr_layer_parameter_set_unit_header(b, t.nnr_layer_parameter_set_unit_header)) return false;
      break;
    case 3:
      if (!build_nnr_topology_unit_header(b, t.nnr_topology_unit_header)) return false;
      break;
    case 4:
      if (!build_nnr_quantization_unit_header(b, t.nnr_quantization_unit_header)) return false;
      break;
    case 5:
      if (!build_nnr_compressed_data_unit_header(b, t.nnr_compressed_data_unit_header)) return false;
      break;
    case 6:
      if (!build_nnr_aggregate_unit_header(b, t.nnr_aggregate_unit_header)) return false;
      break;
    default:
      break;
  }
  if (s.partial_data_counter_present_flag == 1) {
    if (!t.has_nnr_partial_unit_payload) return b.refuse_missing("nnr_partial_unit_payload");
    b.begin(ElementId::nnr_partial_unit_payload);
    if (!b.write_bs(t.nnr_partial_unit_payload)) return false;
  } else {
    switch (s.nnr_unit_type) {
      case 0:
        if (!build_nnr_start_unit_payload(b, t.nnr_start_unit_payload)) return false;
        break;
      case 1:
        if (!build_nnr_model_parameter_set_unit_payload(b, t.nnr_model_parameter_set_unit_payload)) return false;
        break;
      case 2:
        if (!build_nnr_layer_parameter_set_unit_payload(b, t.nnr_layer_parameter_set_unit_payload)) return false;
        break;
      case 3:
        if (!build_nnr_topology_unit_payload(b, t.nnr_topology_unit_payload)) return false;
        break;
      case 4:
        if (!build_nnr_quantization_unit_payload(b, t.nnr_quantization_unit_payload)) return false;
        break;
      case 5:
        if (!build_nnr_compressed_data_unit_payload(b, t.nnr_compressed_data_unit_payload)) return false;
        break;
      case 6:
        if (!build_nnr_aggregate_unit_payload(b, t.nnr_aggregate_unit_payload)) return false;
        break;
      default:
        if (!t.has_nnr_unit_payload) return b.refuse_missing("nnr_unit_payload");
        b.begin(ElementId::nnr_unit_payload);
        if (!b.write_bs(t.nnr_unit_payload)) return false;
        break;
    }
  }
  return true;
}

}  // namespace nnr::syntax
