// SPDX-License-Identifier: Apache-2.0
// Generated from nnr_codec/syntax by `python -m tools.codegen`. Not to be edited.
#include "units.hpp"

#include "../parser.hpp"
#include "../callables.hpp"

namespace nnr::syntax {

namespace {

bool parse_nnr_start_unit_header(Parser& p, NnrStartUnitHeader& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_u(ElementId::general_profile_idc, 8, t.general_profile_idc)) return false;
  s.general_profile_idc = t.general_profile_idc;
  if (t.general_profile_idc > 1) return p.refuse(NNR_UNSUPPORTED, "the format allows 0..1");
  return true;
}

bool parse_nnr_model_parameter_set_unit_header(Parser& p, NnrModelParameterSetUnitHeader& t) {
  static_cast<void>(p);
  static_cast<void>(t);
  return true;
}

bool parse_nnr_layer_parameter_set_unit_header(Parser& p, NnrLayerParameterSetUnitHeader& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_u(ElementId::lps_self_contained_flag, 1, t.lps_self_contained_flag)) return false;
  if (!p.read_u(ElementId::nnr_reserved_zero_7bits, 7, t.nnr_reserved_zero_7bits)) return false;
  if (t.nnr_reserved_zero_7bits != 0) return p.refuse(NNR_MALFORMED, "the format allows only 0");
  return true;
}

bool parse_nnr_topology_unit_header(Parser& p, NnrTopologyUnitHeader& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_u(ElementId::topology_storage_format, 8, t.topology_storage_format)) return false;
  s.topology_storage_format = t.topology_storage_format;
  if (t.topology_storage_format > 6) return p.refuse(NNR_MALFORMED, "the format allows the values of TopologyStorageFormat");
  if (!p.read_u(ElementId::topology_compression_format, 8, t.topology_compression_format)) return false;
  if (t.topology_compression_format > 1) return p.refuse(NNR_MALFORMED, "the format allows the values of TopologyCompressionFormat");
  return true;
}

bool parse_nnr_quantization_unit_header(Parser& p, NnrQuantizationUnitHeader& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_u(ElementId::quantization_storage_format, 8, t.quantization_storage_format)) return false;
  if (!p.read_u(ElementId::quantization_compression_format, 8, t.quantization_compression_format)) return false;
  s.quantization_compression_format = t.quantization_compression_format;
  if (t.quantization_compression_format > 1) return p.refuse(NNR_MALFORMED, "the format allows the values of TopologyCompressionFormat");
  return true;
}

bool parse_topology_elements_ids_list_0(Parser& p, TopologyElementsIdsList& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_ue(ElementId::count_topology_elements_minus2, 7, t.count_topology_elements_minus2)) return false;
  s.count_topology_elements_minus2 = t.count_topology_elements_minus2;
  if (t.count_topology_elements_minus2 > p.limits.max_names) return p.refuse(NNR_LIMIT, "the value is above max_names");
  if (!p.read_byte_alignment(ElementId::byte_alignment, t.byte_alignment)) return false;
  {
    const std::int64_t count = s.count_topology_elements_minus2 + 2;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 8, t.topology_elem_id_list)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!p.read_st(ElementId::topology_elem_id_list, t.topology_elem_id_list[index])) return false;
    }
  }
  return true;
}

bool parse_topology_elements_ids_list_1(Parser& p, TopologyElementsIdsList& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_ue(ElementId::count_topology_elements_minus2, 7, t.count_topology_elements_minus2)) return false;
  s.count_topology_elements_minus2 = t.count_topology_elements_minus2;
  if (t.count_topology_elements_minus2 > p.limits.max_names) return p.refuse(NNR_LIMIT, "the value is above max_names");
  {
    const std::int64_t count = s.count_topology_elements_minus2 + 2;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 8, t.topology_elem_id_index_list)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!p.read_ue(ElementId::topology_elem_id_index_list, 7, t.topology_elem_id_index_list[index])) return false;
      s.topology_elem_id_index_list = t.topology_elem_id_index_list[index];
      if (!(s.topology_elem_id_index_list < s.NumReferences)) return p.refuse(NNR_MALFORMED, "topology_elem_id_index_list < NumReferences does not hold");
    }
  }
  if (!p.read_byte_alignment(ElementId::byte_alignment, t.byte_alignment)) return false;
  return true;
}

bool parse_codebook(Parser& p, Codebook& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_u(ElementId::codebook_egk, 4, t.codebook_egk)) return false;
  s.codebook_egk = t.codebook_egk;
  if (!p.read_ue(ElementId::codebook_size, 2, t.codebook_size)) return false;
  s.codebook_size = t.codebook_size;
  if (t.codebook_size > p.limits.max_codebook_size) return p.refuse(NNR_LIMIT, "the value is above max_codebook_size");
  if (!p.read_ie(ElementId::codebook_center_offset, 2, t.codebook_center_offset)) return false;
  s.codebook_center_offset = t.codebook_center_offset;
  if (!((0 <= (s.codebook_size >> 1) + s.codebook_center_offset && (s.codebook_size >> 1) + s.codebook_center_offset < s.codebook_size))) return p.refuse(NNR_MALFORMED, "0 <= (codebook_size >> 1) + codebook_center_offset < codebook_size does not hold");
  if (!p.read_ie(ElementId::codebook_zero_value, 7, t.codebook_zero_value)) return false;
  s.CbZeroOffset = (s.codebook_size >> 1) + s.codebook_center_offset;
  {
    const std::int64_t count = s.CbZeroOffset;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 1, t.codebook_delta_left)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!p.read_ue(ElementId::codebook_delta_left, s.codebook_egk, t.codebook_delta_left[index])) return false;
    }
  }
  {
    const std::int64_t count = (s.codebook_size - 1) - s.CbZeroOffset;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 1, t.codebook_delta_right)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!p.read_ue(ElementId::codebook_delta_right, s.codebook_egk, t.codebook_delta_right[index])) return false;
    }
  }
  return true;
}

bool parse_nnr_compressed_data_unit_header_cabac_entry_point(Parser& p, NnrCompressedDataUnitHeaderCabacEntryPoint& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_u(ElementId::cabac_offset_value, 8, t.cabac_offset_value)) return false;
  if (s.dq_flag == 1) {
    if (!p.read_u(ElementId::dq_state, 3, t.dq_state)) return false;
    t.has_dq_state = true;
  }
  if (s.j == 0) {
    if (!p.read_ue(ElementId::bit_offset_delta1, 11, t.bit_offset_delta1)) return false;
    t.has_bit_offset_delta1 = true;
  } else {
    if (!p.read_ie(ElementId::bit_offset_delta2, 7, t.bit_offset_delta2)) return false;
    t.has_bit_offset_delta2 = true;
  }
  return true;
}

bool parse_nnr_compressed_data_unit_header(Parser& p, NnrCompressedDataUnitHeader& t) {
  [[maybe_unused]] Scope& s = p.scope;
  s.codebook_present_flag = 0;
  s.dq_flag = 0;
  s.compressed_parameter_types = 0;
  s.count_tensor_dimensions = 0;
  if (!p.read_u(ElementId::nnr_compressed_data_unit_payload_type, 5, t.nnr_compressed_data_unit_payload_type)) return false;
  s.nnr_compressed_data_unit_payload_type = t.nnr_compressed_data_unit_payload_type;
  if (t.nnr_compressed_data_unit_payload_type > 3) return p.refuse(NNR_MALFORMED, "the format allows the values of PayloadType");
  if (!p.read_u(ElementId::nnr_multiple_topology_elements_present_flag, 1, t.nnr_multiple_topology_elements_present_flag)) return false;
  s.nnr_multiple_topology_elements_present_flag = t.nnr_multiple_topology_elements_present_flag;
  if (!(s.nnr_multiple_topology_elements_present_flag == 0 || s.nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK)) return p.refuse(NNR_UNSUPPORTED, "nnr_multiple_topology_elements_present_flag == 0 || nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK does not hold");
  if (!p.read_u(ElementId::nnr_decompressed_data_format_present_flag, 1, t.nnr_decompressed_data_format_present_flag)) return false;
  s.nnr_decompressed_data_format_present_flag = t.nnr_decompressed_data_format_present_flag;
  if (!p.read_u(ElementId::input_parameters_present_flag, 1, t.input_parameters_present_flag)) return false;
  s.input_parameters_present_flag = t.input_parameters_present_flag;
  if (s.nnr_multiple_topology_elements_present_flag == 1) {
    if (s.mps_topology_indexed_reference_flag == 0) {
      if (!parse_topology_elements_ids_list_0(p, t.topology_elements_ids_list)) return false;
      t.has_topology_elements_ids_list = true;
    } else {
      if (!parse_topology_elements_ids_list_1(p, t.topology_elements_ids_list)) return false;
      t.has_topology_elements_ids_list = true;
    }
  } else {
    if (s.mps_topology_indexed_reference_flag == 0) {
      if (!p.read_st(ElementId::topology_elem_id, t.topology_elem_id)) return false;
      t.has_topology_elem_id = true;
    } else {
      if (!p.read_ue(ElementId::topology_elem_id_index, 7, t.topology_elem_id_index)) return false;
      s.topology_elem_id_index = t.topology_elem_id_index;
      if (!(s.topology_elem_id_index < s.NumReferences)) return p.refuse(NNR_MALFORMED, "topology_elem_id_index < NumReferences does not hold");
      t.has_topology_elem_id_index = true;
    }
  }
  if (s.general_profile_idc == 1) {
    if (!p.read_u(ElementId::node_id_present_flag, 1, t.node_id_present_flag)) return false;
    s.node_id_present_flag = t.node_id_present_flag;
    t.has_node_id_present_flag = true;
    if (s.node_id_present_flag == 1) {
      if (!p.read_ue(ElementId::device_id, 1, t.device_id)) return false;
      t.has_device_id = true;
      if (!p.read_ue(ElementId::parameter_id, 5, t.parameter_id)) return false;
      t.has_parameter_id = true;
      if (!p.read_ue(ElementId::put_node_depth, 4, t.put_node_depth)) return false;
      t.has_put_node_depth = true;
    }
    if (s.mps_parent_signalling_enabled_flag == 1) {
      if (!p.read_u(ElementId::parent_node_id_present_flag, 1, t.parent_node_id_present_flag)) return false;
      s.parent_node_id_present_flag = t.parent_node_id_present_flag;
      t.has_parent_node_id_present_flag = true;
      if (s.parent_node_id_present_flag == 1) {
        if (!p.read_u(ElementId::parent_node_id_type, 2, t.parent_node_id_type)) return false;
        s.parent_node_id_type = t.parent_node_id_type;
        if (t.parent_node_id_type > 2) return p.refuse(NNR_MALFORMED, "the format allows the values of ParentNodeIdType");
        t.has_parent_node_id_type = true;
        if (!p.read_u(ElementId::temporal_context_modeling_flag, 1, t.temporal_context_modeling_flag)) return false;
        t.has_temporal_context_modeling_flag = true;
        if (s.parent_node_id_type == ICNN_NDU_ID) {
          if (!p.read_ue(ElementId::parent_device_id, 1, t.parent_device_id)) return false;
          t.has_parent_device_id = true;
          if (s.node_id_present_flag == 0) {
            if (!p.read_ue(ElementId::parameter_id, 5, t.parameter_id)) return false;
            t.has_parameter_id = true;
            if (!p.read_ue(ElementId::put_node_depth, 4, t.put_node_depth)) return false;
            t.has_put_node_depth = true;
          }
        }
        if (s.parent_node_id_type == ICNN_NDU_PL_SHA256) {
          if (!p.read_wide_u(ElementId::parent_node_payload_sha256, t.parent_node_payload_sha256)) return false;
          t.has_parent_node_payload_sha256 = true;
        }
        if (s.parent_node_id_type == ICNN_NDU_PL_SHA512) {
          if (!p.read_wide_u(ElementId::parent_node_payload_sha512, t.parent_node_payload_sha512)) return false;
          t.has_parent_node_payload_sha512 = true;
        }
      }
    }
  }
  if ((s.nnr_compressed_data_unit_payload_type == NNR_PT_FLOAT || s.nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK)) {
    if (!p.read_u(ElementId::codebook_present_flag, 1, t.codebook_present_flag)) return false;
    s.codebook_present_flag = t.codebook_present_flag;
    t.has_codebook_present_flag = true;
    if (s.codebook_present_flag == 1) {
      if (!parse_codebook(p, t.codebook)) return false;
      t.has_codebook = true;
    }
  }
  if ((s.nnr_compressed_data_unit_payload_type == NNR_PT_INT || s.nnr_compressed_data_unit_payload_type == NNR_PT_FLOAT || s.nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK)) {
    if (!p.read_u(ElementId::dq_flag, 1, t.dq_flag)) return false;
    s.dq_flag = t.dq_flag;
    t.has_dq_flag = true;
  }
  if (s.nnr_decompressed_data_format_present_flag == 1) {
    if (!p.read_u(ElementId::nnr_decompressed_data_format, 7, t.nnr_decompressed_data_format)) return false;
    if (t.nnr_decompressed_data_format > 9) return p.refuse(NNR_MALFORMED, "the format allows the values of DecompressedDataFormat");
    t.has_nnr_decompressed_data_format = true;
  }
  if (s.input_parameters_present_flag == 1) {
    if (!p.read_u(ElementId::tensor_dimensions_flag, 1, t.tensor_dimensions_flag)) return false;
    s.tensor_dimensions_flag = t.tensor_dimensions_flag;
    t.has_tensor_dimensions_flag = true;
    if (!p.read_u(ElementId::cabac_unary_length_flag, 1, t.cabac_unary_length_flag)) return false;
    s.cabac_unary_length_flag = t.cabac_unary_length_flag;
    t.has_cabac_unary_length_flag = true;
    if (!p.read_u(ElementId::compressed_parameter_types, 4, t.compressed_parameter_types)) return false;
    s.compressed_parameter_types = t.compressed_parameter_types;
    t.has_compressed_parameter_types = true;
    if ((s.compressed_parameter_types & NNR_CPT_DC) != 0) {
      if (!p.read_ue(ElementId::decomposition_rank, 3, t.decomposition_rank)) return false;
      t.has_decomposition_rank = true;
      if (!p.read_ue(ElementId::g_number_of_rows, 3, t.g_number_of_rows)) return false;
      t.has_g_number_of_rows = true;
      if (!check_low_rank_factor(p, t)) return false;
    }
    if (s.tensor_dimensions_flag == 1) {
      if (!p.read_ue(ElementId::count_tensor_dimensions, 1, t.count_tensor_dimensions)) return false;
      s.count_tensor_dimensions = t.count_tensor_dimensions;
      if (t.count_tensor_dimensions > p.limits.max_dimensions) return p.refuse(NNR_LIMIT, "the value is above max_dimensions");
      t.has_count_tensor_dimensions = true;
      {
        const std::int64_t count = s.count_tensor_dimensions;
        const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
        if (!p.make_list(size, 8, t.tensor_dimensions)) return false;
        for (std::uint64_t index = 0; index < size; ++index) {
          if (!p.read_ue(ElementId::tensor_dimensions, 7, t.tensor_dimensions[index])) return false;
        }
      }
      t.has_tensor_dimensions = true;
    }
    if (s.nnr_compressed_data_unit_payload_type != NNR_PT_BLOCK && s.nnr_multiple_topology_elements_present_flag == 1) {
      if (!p.read_unsupported(ElementId::topology_tensor_dimension_mapping)) return false;
    }
    if (s.cabac_unary_length_flag == 1) {
      if (!p.read_u(ElementId::cabac_unary_length_minus1, 8, t.cabac_unary_length_minus1)) return false;
      t.has_cabac_unary_length_minus1 = true;
    }
  }
  if (s.nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK && (s.compressed_parameter_types & NNR_CPT_DC) != 0 && s.codebook_present_flag == 1) {
    if (!parse_codebook(p, t.second_codebook)) return false;
    t.has_second_codebook = true;
  }
  if (s.count_tensor_dimensions > 1) {
    if (s.general_profile_idc == 1) {
      if (!p.read_ue(ElementId::first_tensor_dimension_shift, 1, t.first_tensor_dimension_shift)) return false;
      t.has_first_tensor_dimension_shift = true;
    }
    if (!p.read_u(ElementId::scan_order, 4, t.scan_order)) return false;
    s.scan_order = t.scan_order;
    if (t.scan_order > 4) return p.refuse(NNR_MALFORMED, "the format allows 0..4");
    t.has_scan_order = true;
    if (s.scan_order > 0) {
      s.NumEntryPoints = number_of_entry_points(p.reference_list, t);
      {
        const std::int64_t count = s.NumEntryPoints;
        const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
        if (!p.make_list(size, 8, t.cabac_entry_point)) return false;
        for (std::uint64_t index = 0; index < size; ++index) {
          s.j = static_cast<std::int64_t>(index);
          if (!parse_nnr_compressed_data_unit_header_cabac_entry_point(p, t.cabac_entry_point[index])) return false;
        }
      }
      t.has_cabac_entry_point = true;
    }
  }
  if (!p.read_byte_alignment(ElementId::byte_alignment, t.byte_alignment)) return false;
  return true;
}

bool parse_nnr_aggregate_unit_header(Parser& p, NnrAggregateUnitHeader& t) {
  static_cast<void>(p);
  static_cast<void>(t);
  return true;
}

bool parse_nnr_start_unit_payload(Parser& p, NnrStartUnitPayload& t) {
  static_cast<void>(p);
  static_cast<void>(t);
  return true;
}

bool parse_sparsification_performance_map_entry(Parser& p, SparsificationPerformanceMapEntry& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_flt(ElementId::sparsification_threshold, t.sparsification_threshold)) return false;
  if (!p.read_flt(ElementId::non_zero_ratio, t.non_zero_ratio)) return false;
  if (!p.read_flt(ElementId::spm_nn_accuracy, t.spm_nn_accuracy)) return false;
  if (!p.read_u(ElementId::spm_count_classes, 8, t.spm_count_classes)) return false;
  s.spm_count_classes = t.spm_count_classes;
  if (!p.read_wide_ue(ElementId::spm_class_bitmask, 7, t.spm_class_bitmask)) return false;
  {
    const std::int64_t count = s.spm_count_classes;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 32, t.spm_nn_class_accuracy)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!p.read_flt(ElementId::spm_nn_class_accuracy, t.spm_nn_class_accuracy[index])) return false;
    }
  }
  return true;
}

bool parse_sparsification_performance_map(Parser& p, SparsificationPerformanceMap& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_u(ElementId::spm_count_thresholds, 8, t.spm_count_thresholds)) return false;
  s.spm_count_thresholds = t.spm_count_thresholds;
  {
    const std::int64_t count = s.spm_count_thresholds - 1;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 112, t.entry)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!parse_sparsification_performance_map_entry(p, t.entry[index])) return false;
    }
  }
  return true;
}

bool parse_pruning_performance_map_entry(Parser& p, PruningPerformanceMapEntry& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_flt(ElementId::pruning_ratio, t.pruning_ratio)) return false;
  if (!p.read_flt(ElementId::ppm_nn_accuracy, t.ppm_nn_accuracy)) return false;
  if (!p.read_u(ElementId::ppm_count_classes, 8, t.ppm_count_classes)) return false;
  s.ppm_count_classes = t.ppm_count_classes;
  if (!p.read_wide_ue(ElementId::ppm_class_bitmask, 7, t.ppm_class_bitmask)) return false;
  {
    const std::int64_t count = s.ppm_count_classes;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 32, t.ppm_nn_class_accuracy)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!p.read_flt(ElementId::ppm_nn_class_accuracy, t.ppm_nn_class_accuracy[index])) return false;
    }
  }
  return true;
}

bool parse_pruning_performance_map(Parser& p, PruningPerformanceMap& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_u(ElementId::ppm_count_pruning_ratios, 8, t.ppm_count_pruning_ratios)) return false;
  s.ppm_count_pruning_ratios = t.ppm_count_pruning_ratios;
  {
    const std::int64_t count = s.ppm_count_pruning_ratios - 1;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 80, t.entry)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!parse_pruning_performance_map_entry(p, t.entry[index])) return false;
    }
  }
  return true;
}

bool parse_unification_performance_map_entry(Parser& p, UnificationPerformanceMapEntry& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_ue(ElementId::count_reshaped_tensor_dimension, 1, t.count_reshaped_tensor_dimension)) return false;
  s.count_reshaped_tensor_dimension = t.count_reshaped_tensor_dimension;
  {
    const std::int64_t count = s.count_reshaped_tensor_dimension - 1;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 8, t.reshaped_tensor_dimensions)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!p.read_ue(ElementId::reshaped_tensor_dimensions, 7, t.reshaped_tensor_dimensions[index])) return false;
    }
  }
  if (!p.read_byte_alignment(ElementId::byte_alignment_2, t.byte_alignment)) return false;
  if (!p.read_u(ElementId::count_super_block_dimension, 8, t.count_super_block_dimension)) return false;
  s.count_super_block_dimension = t.count_super_block_dimension;
  {
    const std::int64_t count = s.count_super_block_dimension - 1;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 8, t.super_block_dimensions)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!p.read_u(ElementId::super_block_dimensions, 8, t.super_block_dimensions[index])) return false;
    }
  }
  if (!p.read_u(ElementId::count_block_dimension, 8, t.count_block_dimension)) return false;
  s.count_block_dimension = t.count_block_dimension;
  {
    const std::int64_t count = s.count_block_dimension - 1;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 8, t.block_dimensions)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!p.read_u(ElementId::block_dimensions, 8, t.block_dimensions[index])) return false;
    }
  }
  if (!p.read_flt(ElementId::unification_threshold, t.unification_threshold)) return false;
  if (!p.read_flt(ElementId::upm_nn_accuracy, t.upm_nn_accuracy)) return false;
  if (!p.read_u(ElementId::upm_count_classes, 8, t.upm_count_classes)) return false;
  s.upm_count_classes = t.upm_count_classes;
  if (!p.read_wide_ue(ElementId::upm_class_bitmask, 7, t.upm_class_bitmask)) return false;
  {
    const std::int64_t count = s.upm_count_classes;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 32, t.upm_nn_class_accuracy)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!p.read_flt(ElementId::upm_nn_class_accuracy, t.upm_nn_class_accuracy[index])) return false;
    }
  }
  return true;
}

bool parse_unification_performance_map(Parser& p, UnificationPerformanceMap& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_u(ElementId::upm_count_thresholds, 8, t.upm_count_thresholds)) return false;
  s.upm_count_thresholds = t.upm_count_thresholds;
  {
    const std::int64_t count = s.upm_count_thresholds - 1;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 99, t.entry)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!parse_unification_performance_map_entry(p, t.entry[index])) return false;
    }
  }
  return true;
}

bool parse_decomposition_performance_map_entry(Parser& p, DecompositionPerformanceMapEntry& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_flt(ElementId::mse_threshold, t.mse_threshold)) return false;
  if (!p.read_flt(ElementId::dpm_nn_accuracy, t.dpm_nn_accuracy)) return false;
  if (!p.read_flt(ElementId::nn_reduction_ratio, t.nn_reduction_ratio)) return false;
  if (!p.read_u(ElementId::dpm_count_classes, 16, t.dpm_count_classes)) return false;
  s.dpm_count_classes = t.dpm_count_classes;
  {
    const std::int64_t count = s.dpm_count_classes;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 32, t.dpm_nn_class_accuracy)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!p.read_flt(ElementId::dpm_nn_class_accuracy, t.dpm_nn_class_accuracy[index])) return false;
    }
  }
  return true;
}

bool parse_decomposition_performance_map(Parser& p, DecompositionPerformanceMap& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_u(ElementId::dpm_count_thresholds, 8, t.dpm_count_thresholds)) return false;
  s.dpm_count_thresholds = t.dpm_count_thresholds;
  {
    const std::int64_t count = s.dpm_count_thresholds - 1;
    const std::uint64_t size = count < 0 ? 0 : static_cast<std::uint64_t>(count);
    if (!p.make_list(size, 112, t.entry)) return false;
    for (std::uint64_t index = 0; index < size; ++index) {
      if (!parse_decomposition_performance_map_entry(p, t.entry[index])) return false;
    }
  }
  return true;
}

bool parse_nnr_model_parameter_set_unit_payload(Parser& p, NnrModelParameterSetUnitPayload& t) {
  [[maybe_unused]] Scope& s = p.scope;
  s.validation_set_performance_present_flag = 0;
  if (!p.read_u(ElementId::topology_carriage_flag, 1, t.topology_carriage_flag)) return false;
  if (!p.read_u(ElementId::mps_sparsification_flag, 1, t.mps_sparsification_flag)) return false;
  s.mps_sparsification_flag = t.mps_sparsification_flag;
  if (!p.read_u(ElementId::mps_pruning_flag, 1, t.mps_pruning_flag)) return false;
  s.mps_pruning_flag = t.mps_pruning_flag;
  if (!p.read_u(ElementId::mps_unification_flag, 1, t.mps_unification_flag)) return false;
  s.mps_unification_flag = t.mps_unification_flag;
  if (!p.read_u(ElementId::mps_decomposition_performance_map_flag, 1, t.mps_decomposition_performance_map_flag)) return false;
  s.mps_decomposition_performance_map_flag = t.mps_decomposition_performance_map_flag;
  if (!p.read_u(ElementId::mps_quantization_method_flags, 3, t.mps_quantization_method_flags)) return false;
  s.mps_quantization_method_flags = t.mps_quantization_method_flags;
  if (!p.read_u(ElementId::mps_topology_indexed_reference_flag, 1, t.mps_topology_indexed_reference_flag)) return false;
  s.mps_topology_indexed_reference_flag = t.mps_topology_indexed_reference_flag;
  if (s.general_profile_idc == 1) {
    if (!p.read_u(ElementId::base_model_id_present_flag, 1, t.base_model_id_present_flag)) return false;
    s.base_model_id_present_flag = t.base_model_id_present_flag;
    t.has_base_model_id_present_flag = true;
    if (!p.read_u(ElementId::validation_set_performance_present_flag, 1, t.validation_set_performance_present_flag)) return false;
    s.validation_set_performance_present_flag = t.validation_set_performance_present_flag;
    t.has_validation_set_performance_present_flag = true;
    if (!p.read_u(ElementId::metric_type_performance_map_valid_flag, 1, t.metric_type_performance_map_valid_flag)) return false;
    s.metric_type_performance_map_valid_flag = t.metric_type_performance_map_valid_flag;
    t.has_metric_type_performance_map_valid_flag = true;
    if (!p.read_u(ElementId::mps_parent_signalling_enabled_flag, 1, t.mps_parent_signalling_enabled_flag)) return false;
    s.mps_parent_signalling_enabled_flag = t.mps_parent_signalling_enabled_flag;
    t.has_mps_parent_signalling_enabled_flag = true;
    if (s.mps_parent_signalling_enabled_flag == 1) {
      if (!p.read_u(ElementId::nnr_pre_flag, 1, t.nnr_pre_flag)) return false;
      t.has_nnr_pre_flag = true;
    } else {
      if (!p.read_u(ElementId::nnr_reserved_zero_1bit, 1, t.nnr_reserved_zero_1bit)) return false;
      if (t.nnr_reserved_zero_1bit != 0) return p.refuse(NNR_MALFORMED, "the format allows only 0");
      t.has_nnr_reserved_zero_1bit = true;
    }
    if (!p.read_u(ElementId::nnr_reserved_zero_2bits, 2, t.nnr_reserved_zero_2bits)) return false;
    if (t.nnr_reserved_zero_2bits != 0) return p.refuse(NNR_MALFORMED, "the format allows only 0");
    t.has_nnr_reserved_zero_2bits = true;
    if (s.base_model_id_present_flag == 1) {
      if (!p.read_st(ElementId::base_model_id, t.base_model_id)) return false;
      t.has_base_model_id = true;
    }
    if (s.validation_set_performance_present_flag == 1 || s.metric_type_performance_map_valid_flag == 1) {
      if (!p.read_st(ElementId::performance_metric_type, t.performance_metric_type)) return false;
      t.has_performance_metric_type = true;
    }
  } else {
    if (!p.read_u(ElementId::nnr_reserved_zero_7bits, 7, t.nnr_reserved_zero_7bits)) return false;
    if (t.nnr_reserved_zero_7bits != 0) return p.refuse(NNR_MALFORMED, "the format allows only 0");
    t.has_nnr_reserved_zero_7bits = true;
  }
  if ((s.mps_quantization_method_flags & 3) != 0) {
    if (!p.read_u(ElementId::mps_qp_density, 3, t.mps_qp_density)) return false;
    t.has_mps_qp_density = true;
    if (!p.read_i(ElementId::mps_quantization_parameter, 13, t.mps_quantization_parameter)) return false;
    t.has_mps_quantization_parameter = true;
  }
  if (s.mps_sparsification_flag == 1) {
    if (!parse_sparsification_performance_map(p, t.sparsification_performance_map)) return false;
    t.has_sparsification_performance_map = true;
  }
  if (s.mps_pruning_flag == 1) {
    if (!parse_pruning_performance_map(p, t.pruning_performance_map)) return false;
    t.has_pruning_performance_map = true;
  }
  if (s.mps_unification_flag == 1) {
    if (!parse_unification_performance_map(p, t.unification_performance_map)) return false;
    t.has_unification_performance_map = true;
  }
  if (s.mps_decomposition_performance_map_flag == 1) {
    if (!parse_decomposition_performance_map(p, t.decomposition_performance_map)) return false;
    t.has_decomposition_performance_map = true;
  }
  if (s.general_profile_idc == 1 && s.validation_set_performance_present_flag == 1) {
    if (!p.read_flt(ElementId::validation_set_performance, t.validation_set_performance)) return false;
    t.has_validation_set_performance = true;
  }
  if (!p.read_byte_alignment(ElementId::byte_alignment_2, t.byte_alignment)) return false;
  return true;
}

bool parse_nnr_layer_parameter_set_unit_payload(Parser& p, NnrLayerParameterSetUnitPayload& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_u(ElementId::nnr_reserved_zero_1bit, 1, t.nnr_reserved_zero_1bit)) return false;
  if (t.nnr_reserved_zero_1bit != 0) return p.refuse(NNR_MALFORMED, "the format allows only 0");
  if (!p.read_u(ElementId::lps_sparsification_flag, 1, t.lps_sparsification_flag)) return false;
  s.lps_sparsification_flag = t.lps_sparsification_flag;
  if (!p.read_u(ElementId::lps_pruning_flag, 1, t.lps_pruning_flag)) return false;
  s.lps_pruning_flag = t.lps_pruning_flag;
  if (!p.read_u(ElementId::lps_unification_flag, 1, t.lps_unification_flag)) return false;
  s.lps_unification_flag = t.lps_unification_flag;
  if (!p.read_u(ElementId::lps_quantization_method_flags, 3, t.lps_quantization_method_flags)) return false;
  s.lps_quantization_method_flags = t.lps_quantization_method_flags;
  if (!p.read_u(ElementId::nnr_reserved_zero_1bit, 1, t.nnr_reserved_zero_1bit_2)) return false;
  if (t.nnr_reserved_zero_1bit_2 != 0) return p.refuse(NNR_MALFORMED, "the format allows only 0");
  if ((s.lps_quantization_method_flags & 3) != 0) {
    if (!p.read_u(ElementId::lps_qp_density, 3, t.lps_qp_density)) return false;
    t.has_lps_qp_density = true;
    if (!p.read_i(ElementId::lps_quantization_parameter, 13, t.lps_quantization_parameter)) return false;
    t.has_lps_quantization_parameter = true;
  }
  if (s.lps_sparsification_flag == 1) {
    if (!parse_sparsification_performance_map(p, t.sparsification_performance_map)) return false;
    t.has_sparsification_performance_map = true;
  }
  if (s.lps_pruning_flag == 1) {
    if (!parse_pruning_performance_map(p, t.pruning_performance_map)) return false;
    t.has_pruning_performance_map = true;
  }
  if (s.lps_unification_flag == 1) {
    if (!parse_unification_performance_map(p, t.unification_performance_map)) return false;
    t.has_unification_performance_map = true;
  }
  if (!p.read_byte_alignment(ElementId::byte_alignment_2, t.byte_alignment)) return false;
  return true;
}

bool parse_nnr_topology_unit_payload(Parser& p, NnrTopologyUnitPayload& t) {
  [[maybe_unused]] Scope& s = p.scope;
  switch (s.topology_storage_format) {
    case 5:
      if (!p.read_bs(ElementId::nnr_pruning_topology_container, t.nnr_pruning_topology_container)) return false;
      t.has_nnr_pruning_topology_container = true;
      break;
    case 6:
      if (!parse_topology_elements_ids_list_0(p, t.topology_elements_ids_list)) return false;
      t.has_topology_elements_ids_list = true;
      break;
    default:
      if (!p.read_bs(ElementId::topology_data, t.topology_data)) return false;
      t.has_topology_data = true;
      break;
  }
  return true;
}

bool parse_nnr_quantization_unit_payload(Parser& p, NnrQuantizationUnitPayload& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (s.quantization_compression_format == 0) {
    if (!p.read_st(ElementId::quantization_data, t.quantization_data)) return false;
    t.has_quantization_data = true;
  } else {
    if (!p.read_bs(ElementId::quantization_data, t.quantization_data)) return false;
    t.has_quantization_data = true;
  }
  return true;
}

bool parse_nnr_compressed_data_unit_payload(Parser& p, NnrCompressedDataUnitPayload& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_bs(ElementId::nnr_compressed_data_unit_payload, t.nnr_compressed_data_unit_payload)) return false;
  return true;
}

bool parse_nnr_aggregate_unit_payload(Parser& p, NnrAggregateUnitPayload& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_bs(ElementId::nnr_aggregate_unit_body, t.nnr_aggregate_unit_body)) return false;
  return true;
}

}  // namespace

bool parse_nnr_unit(Parser& p, NnrUnit& t) {
  [[maybe_unused]] Scope& s = p.scope;
  if (!p.read_u(ElementId::nnr_unit_size_flag, 1, t.nnr_unit_size_flag)) return false;
  s.nnr_unit_size_flag = t.nnr_unit_size_flag;
  if (!p.read_u(ElementId::nnr_unit_size, 15 + (16 * s.nnr_unit_size_flag), t.nnr_unit_size)) return false;
  if (!p.read_u(ElementId::nnr_unit_type, 6, t.nnr_unit_type)) return false;
  s.nnr_unit_type = t.nnr_unit_type;
  if (!p.read_u(ElementId::independently_decodable_flag, 1, t.independently_decodable_flag)) return false;
  if (!p.read_u(ElementId::partial_data_counter_present_flag, 1, t.partial_data_counter_present_flag)) return false;
  s.partial_data_counter_present_flag = t.partial_data_counter_present_flag;
  if (s.partial_data_counter_present_flag == 1) {
    if (!p.read_u(ElementId::partial_data_counter, 8, t.partial_data_counter)) return false;
    t.has_partial_data_counter = true;
  }
  switch (s.nnr_unit_type) {
    case 0:
      if (!parse_nnr_start_unit_header(p, t.nnr_start_unit_header)) return false;
      break;
    case 1:
      if (!parse_nnr_model_parameter_set_unit_header(p, t.nnr_model_parameter_set_unit_header)) return false;
      break;
    case 2:
      if (!parse_nnr_layer_parameter_set_unit_header(p, t.nnr_layer_parameter_set_unit_header)) return false;
      break;
    case 3:
      if (!parse_nnr_topology_unit_header(p, t.nnr_topology_unit_header)) return false;
      break;
    case 4:
      if (!parse_nnr_quantization_unit_header(p, t.nnr_quantization_unit_header)) return false;
      break;
    case 5:
      if (!parse_nnr_compressed_data_unit_header(p, t.nnr_compressed_data_unit_header)) return false;
      break;
    case 6:
      if (!parse_nnr_aggregate_unit_header(p, t.nnr_aggregate_unit_header)) return false;
      break;
    default:
      break;
  }
  if (s.partial_data_counter_present_flag == 1) {
    if (!p.read_bs(ElementId::nnr_partial_unit_payload, t.nnr_partial_unit_payload)) return false;
    t.has_nnr_partial_unit_payload = true;
  } else {
    switch (s.nnr_unit_type) {
      case 0:
        if (!parse_nnr_start_unit_payload(p, t.nnr_start_unit_payload)) return false;
        break;
      case 1:
        if (!parse_nnr_model_parameter_set_unit_payload(p, t.nnr_model_parameter_set_unit_payload)) return false;
        break;
      case 2:
        if (!parse_nnr_layer_parameter_set_unit_payload(p, t.nnr_layer_parameter_set_unit_payload)) return false;
        break;
      case 3:
        if (!parse_nnr_topology_unit_payload(p, t.nnr_topology_unit_payload)) return false;
        break;
      case 4:
        if (!parse_nnr_quantization_unit_payload(p, t.nnr_quantization_unit_payload)) return false;
        break;
      case 5:
        if (!parse_nnr_compressed_data_unit_payload(p, t.nnr_compressed_data_unit_payload)) return false;
        break;
      case 6:
        if (!parse_nnr_aggregate_unit_payload(p, t.nnr_aggregate_unit_payload)) return false;
        break;
      default:
        if (!p.read_bs(ElementId::nnr_unit_payload, t.nnr_unit_payload)) return false;
        t.has_nnr_unit_payload = true;
        break;
    }
  }
  return true;
}

}  // namespace nnr::syntax
