// SPDX-License-Identifier: Apache-2.0
// Generated from nnr_codec/syntax by `python -m tools.codegen`. Not to be edited.
// Visits of the fields that are in a unit, in stream order, to convert units from and to other forms. A visitor has a `scope`
// with the values of earlier units, a `reference_list`, and functions that return false to end the visit:
//   value(FieldId, T&) and value(FieldId, std::uint32_t&, unsigned n_bits): one element
//   fixed(FieldId, std::uint32_t&, std::uint32_t value), alignment(FieldId, std::uint32_t&): an element with one legal value
//   text(FieldId, Bytes&), bytes(FieldId, Bytes&): an st(v) and a bs(v)
//   values(FieldId, std::int64_t count, std::span<T>&), texts(...): a list; a negative count is none
//   table(FieldId, visit), tables(FieldId, std::int64_t count, std::span<T>&, visit_entry): members with a level of their own
//   unsupported(): a table of unknown syntax
#pragma once

#include <cstddef>
#include <cstdint>

#include "../callables.hpp"
#include "elements.hpp"
#include "units.hpp"

namespace nnr::syntax {

enum class FieldId : std::uint8_t {
  nnr_unit_size_flag,
  nnr_unit_size,
  nnr_unit_type,
  independently_decodable_flag,
  partial_data_counter_present_flag,
  partial_data_counter,
  general_profile_idc,
  lps_self_contained_flag,
  nnr_reserved_zero_7bits,
  topology_storage_format,
  topology_compression_format,
  quantization_storage_format,
  quantization_compression_format,
  nnr_compressed_data_unit_payload_type,
  nnr_multiple_topology_elements_present_flag,
  nnr_decompressed_data_format_present_flag,
  input_parameters_present_flag,
  count_topology_elements_minus2,
  byte_alignment,
  topology_elem_id_list,
  topology_elements_ids_list,
  topology_elem_id_index_list,
  topology_elem_id,
  topology_elem_id_index,
  node_id_present_flag,
  device_id,
  parameter_id,
  put_node_depth,
  parent_node_id_present_flag,
  parent_node_id_type,
  temporal_context_modeling_flag,
  parent_device_id,
  parent_node_payload_sha256,
  parent_node_payload_sha512,
  codebook_present_flag,
  codebook_egk,
  codebook_size,
  codebook_center_offset,
  codebook_zero_value,
  codebook_delta_left,
  codebook_delta_right,
  codebook,
  dq_flag,
  nnr_decompressed_data_format,
  tensor_dimensions_flag,
  cabac_unary_length_flag,
  compressed_parameter_types,
  decomposition_rank,
  g_number_of_rows,
  count_tensor_dimensions,
  tensor_dimensions,
  cabac_unary_length_minus1,
  second_codebook,
  first_tensor_dimension_shift,
  scan_order,
  cabac_entry_point,
  cabac_offset_value,
  dq_state,
  bit_offset_delta1,
  bit_offset_delta2,
  nnr_partial_unit_payload,
  topology_carriage_flag,
  mps_sparsification_flag,
  mps_pruning_flag,
  mps_unification_flag,
  mps_decomposition_performance_map_flag,
  mps_quantization_method_flags,
  mps_topology_indexed_reference_flag,
  base_model_id_present_flag,
  validation_set_performance_present_flag,
  metric_type_performance_map_valid_flag,
  mps_parent_signalling_enabled_flag,
  nnr_pre_flag,
  nnr_reserved_zero_1bit,
  nnr_reserved_zero_2bits,
  base_model_id,
  performance_metric_type,
  mps_qp_density,
  mps_quantization_parameter,
  spm_count_thresholds,
  entry,
  sparsification_threshold,
  non_zero_ratio,
  spm_nn_accuracy,
  spm_count_classes,
  spm_class_bitmask,
  spm_nn_class_accuracy,
  sparsification_performance_map,
  ppm_count_pruning_ratios,
  pruning_ratio,
  ppm_nn_accuracy,
  ppm_count_classes,
  ppm_class_bitmask,
  ppm_nn_class_accuracy,
  pruning_performance_map,
  upm_count_thresholds,
  count_reshaped_tensor_dimension,
  reshaped_tensor_dimensions,
  count_super_block_dimension,
  super_block_dimensions,
  count_block_dimension,
  block_dimensions,
  unification_threshold,
  upm_nn_accuracy,
  upm_count_classes,
  upm_class_bitmask,
  upm_nn_class_accuracy,
  unification_performance_map,
  dpm_count_thresholds,
  mse_threshold,
  dpm_nn_accuracy,
  nn_reduction_ratio,
  dpm_count_classes,
  dpm_nn_class_accuracy,
  decomposition_performance_map,
  validation_set_performance,
  lps_sparsification_flag,
  lps_pruning_flag,
  lps_unification_flag,
  lps_quantization_method_flags,
  nnr_reserved_zero_1bit_2,
  lps_qp_density,
  lps_quantization_parameter,
  nnr_pruning_topology_container,
  topology_data,
  quantization_data,
  nnr_compressed_data_unit_payload,
  nnr_aggregate_unit_body,
  nnr_unit_payload,
};

inline constexpr const char* kFieldNames[] = {
    "nnr_unit_size_flag",
    "nnr_unit_size",
    "nnr_unit_type",
    "independently_decodable_flag",
    "partial_data_counter_present_flag",
    "partial_data_counter",
    "general_profile_idc",
    "lps_self_contained_flag",
    "nnr_reserved_zero_7bits",
    "topology_storage_format",
    "topology_compression_format",
    "quantization_storage_format",
    "quantization_compression_format",
    "nnr_compressed_data_unit_payload_type",
    "nnr_multiple_topology_elements_present_flag",
    "nnr_decompressed_data_format_present_flag",
    "input_parameters_present_flag",
    "count_topology_elements_minus2",
    "byte_alignment",
    "topology_elem_id_list",
    "topology_elements_ids_list",
    "topology_elem_id_index_list",
    "topology_elem_id",
    "topology_elem_id_index",
    "node_id_present_flag",
    "device_id",
    "parameter_id",
    "put_node_depth",
    "parent_node_id_present_flag",
    "parent_node_id_type",
    "temporal_context_modeling_flag",
    "parent_device_id",
    "parent_node_payload_sha256",
    "parent_node_payload_sha512",
    "codebook_present_flag",
    "codebook_egk",
    "codebook_size",
    "codebook_center_offset",
    "codebook_zero_value",
    "codebook_delta_left",
    "codebook_delta_right",
    "codebook",
    "dq_flag",
    "nnr_decompressed_data_format",
    "tensor_dimensions_flag",
    "cabac_unary_length_flag",
    "compressed_parameter_types",
    "decomposition_rank",
    "g_number_of_rows",
    "count_tensor_dimensions",
    "tensor_dimensions",
    "cabac_unary_length_minus1",
    "second_codebook",
    "first_tensor_dimension_shift",
    "scan_order",
    "cabac_entry_point",
    "cabac_offset_value",
    "dq_state",
    "bit_offset_delta1",
    "bit_offset_delta2",
    "nnr_partial_unit_payload",
    "topology_carriage_flag",
    "mps_sparsification_flag",
    "mps_pruning_flag",
    "mps_unification_flag",
    "mps_decomposition_performance_map_flag",
    "mps_quantization_method_flags",
    "mps_topology_indexed_reference_flag",
    "base_model_id_present_flag",
    "validation_set_performance_present_flag",
    "metric_type_performance_map_valid_flag",
    "mps_parent_signalling_enabled_flag",
    "nnr_pre_flag",
    "nnr_reserved_zero_1bit",
    "nnr_reserved_zero_2bits",
    "base_model_id",
    "performance_metric_type",
    "mps_qp_density",
    "mps_quantization_parameter",
    "spm_count_thresholds",
    "entry",
    "sparsification_threshold",
    "non_zero_ratio",
    "spm_nn_accuracy",
    "spm_count_classes",
    "spm_class_bitmask",
    "spm_nn_class_accuracy",
    "sparsification_performance_map",
    "ppm_count_pruning_ratios",
    "pruning_ratio",
    "ppm_nn_accuracy",
    "ppm_count_classes",
    "ppm_class_bitmask",
    "ppm_nn_class_accuracy",
    "pruning_performance_map",
    "upm_count_thresholds",
    "count_reshaped_tensor_dimension",
    "reshaped_tensor_dimensions",
    "count_super_block_dimension",
    "super_block_dimensions",
    "count_block_dimension",
    "block_dimensions",
    "unification_threshold",
    "upm_nn_accuracy",
    "upm_count_classes",
    "upm_class_bitmask",
    "upm_nn_class_accuracy",
    "unification_performance_map",
    "dpm_count_thresholds",
    "mse_threshold",
    "dpm_nn_accuracy",
    "nn_reduction_ratio",
    "dpm_count_classes",
    "dpm_nn_class_accuracy",
    "decomposition_performance_map",
    "validation_set_performance",
    "lps_sparsification_flag",
    "lps_pruning_flag",
    "lps_unification_flag",
    "lps_quantization_method_flags",
    "nnr_reserved_zero_1bit_2",
    "lps_qp_density",
    "lps_quantization_parameter",
    "nnr_pruning_topology_container",
    "topology_data",
    "quantization_data",
    "nnr_compressed_data_unit_payload",
    "nnr_aggregate_unit_body",
    "nnr_unit_payload",
};

// Calls `visit` with the name and the value of each limit on elements.
template <class Visit>
void visit_limits(nnr_limits& limits, Visit visit) {
  visit("max_codebook_size", limits.max_codebook_size);
  visit("max_dimensions", limits.max_dimensions);
  visit("max_name_bytes", limits.max_name_bytes);
  visit("max_names", limits.max_names);
}

template <class Visitor>
bool visit_nnr_start_unit_header(Visitor& v, NnrStartUnitHeader& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::general_profile_idc, t.general_profile_idc, 8)) return false;
  s.general_profile_idc = t.general_profile_idc;
  return true;
}

template <class Visitor>
bool visit_nnr_model_parameter_set_unit_header(Visitor& v, NnrModelParameterSetUnitHeader& t) {
  static_cast<void>(v);
  static_cast<void>(t);
  return true;
}

template <class Visitor>
bool visit_nnr_layer_parameter_set_unit_header(Visitor& v, NnrLayerParameterSetUnitHeader& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::lps_self_contained_flag, t.lps_self_contained_flag, 1)) return false;
  if (!v.fixed(FieldId::nnr_reserved_zero_7bits, t.nnr_reserved_zero_7bits, 0)) return false;
  return true;
}

template <class Visitor>
bool visit_nnr_topology_unit_header(Visitor& v, NnrTopologyUnitHeader& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::topology_storage_format, t.topology_storage_format, 8)) return false;
  s.topology_storage_format = t.topology_storage_format;
  if (!v.value(FieldId::topology_compression_format, t.topology_compression_format, 8)) return false;
  return true;
}

template <class Visitor>
bool visit_nnr_quantization_unit_header(Visitor& v, NnrQuantizationUnitHeader& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::quantization_storage_format, t.quantization_storage_format, 8)) return false;
  if (!v.value(FieldId::quantization_compression_format, t.quantization_compression_format, 8)) return false;
  s.quantization_compression_format = t.quantization_compression_format;
  return true;
}

template <class Visitor>
bool visit_topology_elements_ids_list_0(Visitor& v, TopologyElementsIdsList& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::count_topology_elements_minus2, t.count_topology_elements_minus2)) return false;
  s.count_topology_elements_minus2 = t.count_topology_elements_minus2;
  if (!v.alignment(FieldId::byte_alignment, t.byte_alignment)) return false;
  if (!v.texts(FieldId::topology_elem_id_list, s.count_topology_elements_minus2 + 2, t.topology_elem_id_list)) return false;
  return true;
}

template <class Visitor>
bool visit_topology_elements_ids_list_1(Visitor& v, TopologyElementsIdsList& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::count_topology_elements_minus2, t.count_topology_elements_minus2)) return false;
  s.count_topology_elements_minus2 = t.count_topology_elements_minus2;
  if (!v.values(FieldId::topology_elem_id_index_list, s.count_topology_elements_minus2 + 2, t.topology_elem_id_index_list)) return false;
  if (!v.alignment(FieldId::byte_alignment, t.byte_alignment)) return false;
  return true;
}

template <class Visitor>
bool visit_codebook(Visitor& v, Codebook& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::codebook_egk, t.codebook_egk, 4)) return false;
  s.codebook_egk = t.codebook_egk;
  if (!v.value(FieldId::codebook_size, t.codebook_size)) return false;
  s.codebook_size = t.codebook_size;
  if (!v.value(FieldId::codebook_center_offset, t.codebook_center_offset)) return false;
  s.codebook_center_offset = t.codebook_center_offset;
  if (!v.value(FieldId::codebook_zero_value, t.codebook_zero_value)) return false;
  s.CbZeroOffset = (s.codebook_size >> 1) + s.codebook_center_offset;
  if (!v.values(FieldId::codebook_delta_left, s.CbZeroOffset, t.codebook_delta_left)) return false;
  if (!v.values(FieldId::codebook_delta_right, (s.codebook_size - 1) - s.CbZeroOffset, t.codebook_delta_right)) return false;
  return true;
}

template <class Visitor>
bool visit_nnr_compressed_data_unit_header_cabac_entry_point(Visitor& v, NnrCompressedDataUnitHeaderCabacEntryPoint& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::cabac_offset_value, t.cabac_offset_value, 8)) return false;
  if (s.dq_flag == 1) {
    if (!v.value(FieldId::dq_state, t.dq_state, 3)) return false;
    t.has_dq_state = true;
  }
  if (s.j == 0) {
    if (!v.value(FieldId::bit_offset_delta1, t.bit_offset_delta1)) return false;
    t.has_bit_offset_delta1 = true;
  } else {
    if (!v.value(FieldId::bit_offset_delta2, t.bit_offset_delta2)) return false;
    t.has_bit_offset_delta2 = true;
  }
  return true;
}

template <class Visitor>
bool visit_nnr_compressed_data_unit_header(Visitor& v, NnrCompressedDataUnitHeader& t) {
  [[maybe_unused]] Scope& s = v.scope;
  s.codebook_present_flag = 0;
  s.dq_flag = 0;
  s.compressed_parameter_types = 0;
  s.count_tensor_dimensions = 0;
  if (!v.value(FieldId::nnr_compressed_data_unit_payload_type, t.nnr_compressed_data_unit_payload_type, 5)) return false;
  s.nnr_compressed_data_unit_payload_type = t.nnr_compressed_data_unit_payload_type;
  if (!v.value(FieldId::nnr_multiple_topology_elements_present_flag, t.nnr_multiple_topology_elements_present_flag, 1)) return false;
  s.nnr_multiple_topology_elements_present_flag = t.nnr_multiple_topology_elements_present_flag;
  if (!v.value(FieldId::nnr_decompressed_data_format_present_flag, t.nnr_decompressed_data_format_present_flag, 1)) return false;
  s.nnr_decompressed_data_format_present_flag = t.nnr_decompressed_data_format_present_flag;
  if (!v.value(FieldId::input_parameters_present_flag, t.input_parameters_present_flag, 1)) return false;
  s.input_parameters_present_flag = t.input_parameters_present_flag;
  if (s.nnr_multiple_topology_elements_present_flag == 1) {
    if (s.mps_topology_indexed_reference_flag == 0) {
      if (!v.table(FieldId::topology_elements_ids_list, [&] { return visit_topology_elements_ids_list_0(v, t.topology_elements_ids_list); })) return false;
      t.has_topology_elements_ids_list = true;
    } else {
      if (!v.table(FieldId::topology_elements_ids_list, [&] { return visit_topology_elements_ids_list_1(v, t.topology_elements_ids_list); })) return false;
      t.has_topology_elements_ids_list = true;
    }
  } else {
    if (s.mps_topology_indexed_reference_flag == 0) {
      if (!v.text(FieldId::topology_elem_id, t.topology_elem_id)) return false;
      t.has_topology_elem_id = true;
    } else {
      if (!v.value(FieldId::topology_elem_id_index, t.topology_elem_id_index)) return false;
      s.topology_elem_id_index = t.topology_elem_id_index;
      t.has_topology_elem_id_index = true;
    }
  }
  if (s.general_profile_idc == 1) {
    if (!v.value(FieldId::node_id_present_flag, t.node_id_present_flag, 1)) return false;
    s.node_id_present_flag = t.node_id_present_flag;
    t.has_node_id_present_flag = true;
    if (s.node_id_present_flag == 1) {
      if (!v.value(FieldId::device_id, t.device_id)) return false;
      t.has_device_id = true;
      if (!v.value(FieldId::parameter_id, t.parameter_id)) return false;
      t.has_parameter_id = true;
      if (!v.value(FieldId::put_node_depth, t.put_node_depth)) return false;
      t.has_put_node_depth = true;
    }
    if (s.mps_parent_signalling_enabled_flag == 1) {
      if (!v.value(FieldId::parent_node_id_present_flag, t.parent_node_id_present_flag, 1)) return false;
      s.parent_node_id_present_flag = t.parent_node_id_present_flag;
      t.has_parent_node_id_present_flag = true;
      if (s.parent_node_id_present_flag == 1) {
        if (!v.value(FieldId::parent_node_id_type, t.parent_node_id_type, 2)) return false;
        s.parent_node_id_type = t.parent_node_id_type;
        t.has_parent_node_id_type = true;
        if (!v.value(FieldId::temporal_context_modeling_flag, t.temporal_context_modeling_flag, 1)) return false;
        t.has_temporal_context_modeling_flag = true;
        if (s.parent_node_id_type == ICNN_NDU_ID) {
          if (!v.value(FieldId::parent_device_id, t.parent_device_id)) return false;
          t.has_parent_device_id = true;
          if (s.node_id_present_flag == 0) {
            if (!v.value(FieldId::parameter_id, t.parameter_id)) return false;
            t.has_parameter_id = true;
            if (!v.value(FieldId::put_node_depth, t.put_node_depth)) return false;
            t.has_put_node_depth = true;
          }
        }
        if (s.parent_node_id_type == ICNN_NDU_PL_SHA256) {
          if (!v.value(FieldId::parent_node_payload_sha256, t.parent_node_payload_sha256)) return false;
          t.has_parent_node_payload_sha256 = true;
        }
        if (s.parent_node_id_type == ICNN_NDU_PL_SHA512) {
          if (!v.value(FieldId::parent_node_payload_sha512, t.parent_node_payload_sha512)) return false;
          t.has_parent_node_payload_sha512 = true;
        }
      }
    }
  }
  if ((s.nnr_compressed_data_unit_payload_type == NNR_PT_FLOAT || s.nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK)) {
    if (!v.value(FieldId::codebook_present_flag, t.codebook_present_flag, 1)) return false;
    s.codebook_present_flag = t.codebook_present_flag;
    t.has_codebook_present_flag = true;
    if (s.codebook_present_flag == 1) {
      if (!v.table(FieldId::codebook, [&] { return visit_codebook(v, t.codebook); })) return false;
      t.has_codebook = true;
    }
  }
  if ((s.nnr_compressed_data_unit_payload_type == NNR_PT_INT || s.nnr_compressed_data_unit_payload_type == NNR_PT_FLOAT || s.nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK)) {
    if (!v.value(FieldId::dq_flag, t.dq_flag, 1)) return false;
    s.dq_flag = t.dq_flag;
    t.has_dq_flag = true;
  }
  if (s.nnr_decompressed_data_format_present_flag == 1) {
    if (!v.value(FieldId::nnr_decompressed_data_format, t.nnr_decompressed_data_format, 7)) return false;
    t.has_nnr_decompressed_data_format = true;
  }
  if (s.input_parameters_present_flag == 1) {
    if (!v.value(FieldId::tensor_dimensions_flag, t.tensor_dimensions_flag, 1)) return false;
    s.tensor_dimensions_flag = t.tensor_dimensions_flag;
    t.has_tensor_dimensions_flag = true;
    if (!v.value(FieldId::cabac_unary_length_flag, t.cabac_unary_length_flag, 1)) return false;
    s.cabac_unary_length_flag = t.cabac_unary_length_flag;
    t.has_cabac_unary_length_flag = true;
    if (!v.value(FieldId::compressed_parameter_types, t.compressed_parameter_types, 4)) return false;
    s.compressed_parameter_types = t.compressed_parameter_types;
    t.has_compressed_parameter_types = true;
    if ((s.compressed_parameter_types & NNR_CPT_DC) != 0) {
      if (!v.value(FieldId::decomposition_rank, t.decomposition_rank)) return false;
      t.has_decomposition_rank = true;
      if (!v.value(FieldId::g_number_of_rows, t.g_number_of_rows)) return false;
      t.has_g_number_of_rows = true;
    }
    if (s.tensor_dimensions_flag == 1) {
      if (!v.value(FieldId::count_tensor_dimensions, t.count_tensor_dimensions)) return false;
      s.count_tensor_dimensions = t.count_tensor_dimensions;
      t.has_count_tensor_dimensions = true;
      if (!v.values(FieldId::tensor_dimensions, s.count_tensor_dimensions, t.tensor_dimensions)) return false;
      t.has_tensor_dimensions = true;
    }
    if (s.nnr_compressed_data_unit_payload_type != NNR_PT_BLOCK && s.nnr_multiple_topology_elements_present_flag == 1) {
      if (!v.unsupported()) return false;
    }
    if (s.cabac_unary_length_flag == 1) {
      if (!v.value(FieldId::cabac_unary_length_minus1, t.cabac_unary_length_minus1, 8)) return false;
      t.has_cabac_unary_length_minus1 = true;
    }
  }
  if (s.nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK && (s.compressed_parameter_types & NNR_CPT_DC) != 0 && s.codebook_present_flag == 1) {
    if (!v.table(FieldId::second_codebook, [&] { return visit_codebook(v, t.second_codebook); })) return false;
    t.has_second_codebook = true;
  }
  if (s.count_tensor_dimensions > 1) {
    if (s.general_profile_idc == 1) {
      if (!v.value(FieldId::first_tensor_dimension_shift, t.first_tensor_dimension_shift)) return false;
      t.has_first_tensor_dimension_shift = true;
    }
    if (!v.value(FieldId::scan_order, t.scan_order, 4)) return false;
    s.scan_order = t.scan_order;
    t.has_scan_order = true;
    if (s.scan_order > 0) {
      s.NumEntryPoints = number_of_entry_points(v.reference_list, t);
      if (!v.tables(FieldId::cabac_entry_point, s.NumEntryPoints, t.cabac_entry_point, [&](std::size_t index) {
        s.j = static_cast<std::int64_t>(index);
        return visit_nnr_compressed_data_unit_header_cabac_entry_point(v, t.cabac_entry_point[index]);
      })) return false;
      t.has_cabac_entry_point = true;
    }
  }
  if (!v.alignment(FieldId::byte_alignment, t.byte_alignment)) return false;
  return true;
}

template <class Visitor>
bool visit_nnr_aggregate_unit_header(Visitor& v, NnrAggregateUnitHeader& t) {
  static_cast<void>(v);
  static_cast<void>(t);
  return true;
}

template <class Visitor>
bool visit_nnr_start_unit_payload(Visitor& v, NnrStartUnitPayload& t) {
  static_cast<void>(v);
  static_cast<void>(t);
  return true;
}

template <class Visitor>
bool visit_sparsification_performance_map_entry(Visitor& v, SparsificationPerformanceMapEntry& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::sparsification_threshold, t.sparsification_threshold)) return false;
  if (!v.value(FieldId::non_zero_ratio, t.non_zero_ratio)) return false;
  if (!v.value(FieldId::spm_nn_accuracy, t.spm_nn_accuracy)) return false;
  if (!v.value(FieldId::spm_count_classes, t.spm_count_classes, 8)) return false;
  s.spm_count_classes = t.spm_count_classes;
  if (!v.value(FieldId::spm_class_bitmask, t.spm_class_bitmask)) return false;
  if (!v.values(FieldId::spm_nn_class_accuracy, s.spm_count_classes, t.spm_nn_class_accuracy)) return false;
  return true;
}

template <class Visitor>
bool visit_sparsification_performance_map(Visitor& v, SparsificationPerformanceMap& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::spm_count_thresholds, t.spm_count_thresholds, 8)) return false;
  s.spm_count_thresholds = t.spm_count_thresholds;
  if (!v.tables(FieldId::entry, s.spm_count_thresholds - 1, t.entry, [&](std::size_t index) {
    return visit_sparsification_performance_map_entry(v, t.entry[index]);
  })) return false;
  return true;
}

template <class Visitor>
bool visit_pruning_performance_map_entry(Visitor& v, PruningPerformanceMapEntry& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::pruning_ratio, t.pruning_ratio)) return false;
  if (!v.value(FieldId::ppm_nn_accuracy, t.ppm_nn_accuracy)) return false;
  if (!v.value(FieldId::ppm_count_classes, t.ppm_count_classes, 8)) return false;
  s.ppm_count_classes = t.ppm_count_classes;
  if (!v.value(FieldId::ppm_class_bitmask, t.ppm_class_bitmask)) return false;
  if (!v.values(FieldId::ppm_nn_class_accuracy, s.ppm_count_classes, t.ppm_nn_class_accuracy)) return false;
  return true;
}

template <class Visitor>
bool visit_pruning_performance_map(Visitor& v, PruningPerformanceMap& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::ppm_count_pruning_ratios, t.ppm_count_pruning_ratios, 8)) return false;
  s.ppm_count_pruning_ratios = t.ppm_count_pruning_ratios;
  if (!v.tables(FieldId::entry, s.ppm_count_pruning_ratios - 1, t.entry, [&](std::size_t index) {
    return visit_pruning_performance_map_entry(v, t.entry[index]);
  })) return false;
  return true;
}

template <class Visitor>
bool visit_unification_performance_map_entry(Visitor& v, UnificationPerformanceMapEntry& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::count_reshaped_tensor_dimension, t.count_reshaped_tensor_dimension)) return false;
  s.count_reshaped_tensor_dimension = t.count_reshaped_tensor_dimension;
  if (!v.values(FieldId::reshaped_tensor_dimensions, s.count_reshaped_tensor_dimension - 1, t.reshaped_tensor_dimensions)) return false;
  if (!v.alignment(FieldId::byte_alignment, t.byte_alignment)) return false;
  if (!v.value(FieldId::count_super_block_dimension, t.count_super_block_dimension, 8)) return false;
  s.count_super_block_dimension = t.count_super_block_dimension;
  if (!v.values(FieldId::super_block_dimensions, s.count_super_block_dimension - 1, t.super_block_dimensions)) return false;
  if (!v.value(FieldId::count_block_dimension, t.count_block_dimension, 8)) return false;
  s.count_block_dimension = t.count_block_dimension;
  if (!v.values(FieldId::block_dimensions, s.count_block_dimension - 1, t.block_dimensions)) return false;
  if (!v.value(FieldId::unification_threshold, t.unification_threshold)) return false;
  if (!v.value(FieldId::upm_nn_accuracy, t.upm_nn_accuracy)) return false;
  if (!v.value(FieldId::upm_count_classes, t.upm_count_classes, 8)) return false;
  s.upm_count_classes = t.upm_count_classes;
  if (!v.value(FieldId::upm_class_bitmask, t.upm_class_bitmask)) return false;
  if (!v.values(FieldId::upm_nn_class_accuracy, s.upm_count_classes, t.upm_nn_class_accuracy)) return false;
  return true;
}

template <class Visitor>
bool visit_unification_performance_map(Visitor& v, UnificationPerformanceMap& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::upm_count_thresholds, t.upm_count_thresholds, 8)) return false;
  s.upm_count_thresholds = t.upm_count_thresholds;
  if (!v.tables(FieldId::entry, s.upm_count_thresholds - 1, t.entry, [&](std::size_t index) {
    return visit_unification_performance_map_entry(v, t.entry[index]);
  })) return false;
  return true;
}

template <class Visitor>
bool visit_decomposition_performance_map_entry(Visitor& v, DecompositionPerformanceMapEntry& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::mse_threshold, t.mse_threshold)) return false;
  if (!v.value(FieldId::dpm_nn_accuracy, t.dpm_nn_accuracy)) return false;
  if (!v.value(FieldId::nn_reduction_ratio, t.nn_reduction_ratio)) return false;
  if (!v.value(FieldId::dpm_count_classes, t.dpm_count_classes, 16)) return false;
  s.dpm_count_classes = t.dpm_count_classes;
  if (!v.values(FieldId::dpm_nn_class_accuracy, s.dpm_count_classes, t.dpm_nn_class_accuracy)) return false;
  return true;
}

template <class Visitor>
bool visit_decomposition_performance_map(Visitor& v, DecompositionPerformanceMap& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::dpm_count_thresholds, t.dpm_count_thresholds, 8)) return false;
  s.dpm_count_thresholds = t.dpm_count_thresholds;
  if (!v.tables(FieldId::entry, s.dpm_count_thresholds - 1, t.entry, [&](std::size_t index) {
    return visit_decomposition_performance_map_entry(v, t.entry[index]);
  })) return false;
  return true;
}

template <class Visitor>
bool visit_nnr_model_parameter_set_unit_payload(Visitor& v, NnrModelParameterSetUnitPayload& t) {
  [[maybe_unused]] Scope& s = v.scope;
  s.validation_set_performance_present_flag = 0;
  if (!v.value(FieldId::topology_carriage_flag, t.topology_carriage_flag, 1)) return false;
  if (!v.value(FieldId::mps_sparsification_flag, t.mps_sparsification_flag, 1)) return false;
  s.mps_sparsification_flag = t.mps_sparsification_flag;
  if (!v.value(FieldId::mps_pruning_flag, t.mps_pruning_flag, 1)) return false;
  s.mps_pruning_flag = t.mps_pruning_flag;
  if (!v.value(FieldId::mps_unification_flag, t.mps_unification_flag, 1)) return false;
  s.mps_unification_flag = t.mps_unification_flag;
  if (!v.value(FieldId::mps_decomposition_performance_map_flag, t.mps_decomposition_performance_map_flag, 1)) return false;
  s.mps_decomposition_performance_map_flag = t.mps_decomposition_performance_map_flag;
  if (!v.value(FieldId::mps_quantization_method_flags, t.mps_quantization_method_flags, 3)) return false;
  s.mps_quantization_method_flags = t.mps_quantization_method_flags;
  if (!v.value(FieldId::mps_topology_indexed_reference_flag, t.mps_topology_indexed_reference_flag, 1)) return false;
  s.mps_topology_indexed_reference_flag = t.mps_topology_indexed_reference_flag;
  if (s.general_profile_idc == 1) {
    if (!v.value(FieldId::base_model_id_present_flag, t.base_model_id_present_flag, 1)) return false;
    s.base_model_id_present_flag = t.base_model_id_present_flag;
    t.has_base_model_id_present_flag = true;
    if (!v.value(FieldId::validation_set_performance_present_flag, t.validation_set_performance_present_flag, 1)) return false;
    s.validation_set_performance_present_flag = t.validation_set_performance_present_flag;
    t.has_validation_set_performance_present_flag = true;
    if (!v.value(FieldId::metric_type_performance_map_valid_flag, t.metric_type_performance_map_valid_flag, 1)) return false;
    s.metric_type_performance_map_valid_flag = t.metric_type_performance_map_valid_flag;
    t.has_metric_type_performance_map_valid_flag = true;
    if (!v.value(FieldId::mps_parent_signalling_enabled_flag, t.mps_parent_signalling_enabled_flag, 1)) return false;
    s.mps_parent_signalling_enabled_flag = t.mps_parent_signalling_enabled_flag;
    t.has_mps_parent_signalling_enabled_flag = true;
    if (s.mps_parent_signalling_enabled_flag == 1) {
      if (!v.value(FieldId::nnr_pre_flag, t.nnr_pre_flag, 1)) return false;
      t.has_nnr_pre_flag = true;
    } else {
      if (!v.fixed(FieldId::nnr_reserved_zero_1bit, t.nnr_reserved_zero_1bit, 0)) return false;
      t.has_nnr_reserved_zero_1bit = true;
    }
    if (!v.fixed(FieldId::nnr_reserved_zero_2bits, t.nnr_reserved_zero_2bits, 0)) return false;
    t.has_nnr_reserved_zero_2bits = true;
    if (s.base_model_id_present_flag == 1) {
      if (!v.text(FieldId::base_model_id, t.base_model_id)) return false;
      t.has_base_model_id = true;
    }
    if (s.validation_set_performance_present_flag == 1 || s.metric_type_performance_map_valid_flag == 1) {
      if (!v.text(FieldId::performance_metric_type, t.performance_metric_type)) return false;
      t.has_performance_metric_type = true;
    }
  } else {
    if (!v.fixed(FieldId::nnr_reserved_zero_7bits, t.nnr_reserved_zero_7bits, 0)) return false;
    t.has_nnr_reserved_zero_7bits = true;
  }
  if ((s.mps_quantization_method_flags & 3) != 0) {
    if (!v.value(FieldId::mps_qp_density, t.mps_qp_density, 3)) return false;
    t.has_mps_qp_density = true;
    if (!v.value(FieldId::mps_quantization_parameter, t.mps_quantization_parameter)) return false;
    t.has_mps_quantization_parameter = true;
  }
  if (s.mps_sparsification_flag == 1) {
    if (!v.table(FieldId::sparsification_performance_map, [&] { return visit_sparsification_performance_map(v, t.sparsification_performance_map); })) return false;
    t.has_sparsification_performance_map = true;
  }
  if (s.mps_pruning_flag == 1) {
    if (!v.table(FieldId::pruning_performance_map, [&] { return visit_pruning_performance_map(v, t.pruning_performance_map); })) return false;
    t.has_pruning_performance_map = true;
  }
  if (s.mps_unification_flag == 1) {
    if (!v.table(FieldId::unification_performance_map, [&] { return visit_unification_performance_map(v, t.unification_performance_map); })) return false;
    t.has_unification_performance_map = true;
  }
  if (s.mps_decomposition_performance_map_flag == 1) {
    if (!v.table(FieldId::decomposition_performance_map, [&] { return visit_decomposition_performance_map(v, t.decomposition_performance_map); })) return false;
    t.has_decomposition_performance_map = true;
  }
  if (s.general_profile_idc == 1 && s.validation_set_performance_present_flag == 1) {
    if (!v.value(FieldId::validation_set_performance, t.validation_set_performance)) return false;
    t.has_validation_set_performance = true;
  }
  if (!v.alignment(FieldId::byte_alignment, t.byte_alignment)) return false;
  return true;
}

template <class Visitor>
bool visit_nnr_layer_parameter_set_unit_payload(Visitor& v, NnrLayerParameterSetUnitPayload& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.fixed(FieldId::nnr_reserved_zero_1bit, t.nnr_reserved_zero_1bit, 0)) return false;
  if (!v.value(FieldId::lps_sparsification_flag, t.lps_sparsification_flag, 1)) return false;
  s.lps_sparsification_flag = t.lps_sparsification_flag;
  if (!v.value(FieldId::lps_pruning_flag, t.lps_pruning_flag, 1)) return false;
  s.lps_pruning_flag = t.lps_pruning_flag;
  if (!v.value(FieldId::lps_unification_flag, t.lps_unification_flag, 1)) return false;
  s.lps_unification_flag = t.lps_unification_flag;
  if (!v.value(FieldId::lps_quantization_method_flags, t.lps_quantization_method_flags, 3)) return false;
  s.lps_quantization_method_flags = t.lps_quantization_method_flags;
  if (!v.fixed(FieldId::nnr_reserved_zero_1bit_2, t.nnr_reserved_zero_1bit_2, 0)) return false;
  if ((s.lps_quantization_method_flags & 3) != 0) {
    if (!v.value(FieldId::lps_qp_density, t.lps_qp_density, 3)) return false;
    t.has_lps_qp_density = true;
    if (!v.value(FieldId::lps_quantization_parameter, t.lps_quantization_parameter)) return false;
    t.has_lps_quantization_parameter = true;
  }
  if (s.lps_sparsification_flag == 1) {
    if (!v.table(FieldId::sparsification_performance_map, [&] { return visit_sparsification_performance_map(v, t.sparsification_performance_map); })) return false;
    t.has_sparsification_performance_map = true;
  }
  if (s.lps_pruning_flag == 1) {
    if (!v.table(FieldId::pruning_performance_map, [&] { return visit_pruning_performance_map(v, t.pruning_performance_map); })) return false;
    t.has_pruning_performance_map = true;
  }
  if (s.lps_unification_flag == 1) {
    if (!v.table(FieldId::unification_performance_map, [&] { return visit_unification_performance_map(v, t.unification_performance_map); })) return false;
    t.has_unification_performance_map = true;
  }
  if (!v.alignment(FieldId::byte_alignment, t.byte_alignment)) return false;
  return true;
}

template <class Visitor>
bool visit_nnr_topology_unit_payload(Visitor& v, NnrTopologyUnitPayload& t) {
  [[maybe_unused]] Scope& s = v.scope;
  switch (s.topology_storage_format) {
    case 5:
      if (!v.bytes(FieldId::nnr_pruning_topology_container, t.nnr_pruning_topology_container)) return false;
      t.has_nnr_pruning_topology_container = true;
      break;
    case 6:
      if (!v.table(FieldId::topology_elements_ids_list, [&] { return visit_topology_elements_ids_list_0(v, t.topology_elements_ids_list); })) return false;
      t.has_topology_elements_ids_list = true;
      break;
    default:
      if (!v.bytes(FieldId::topology_data, t.topology_data)) return false;
      t.has_topology_data = true;
      break;
  }
  return true;
}

template <class Visitor>
bool visit_nnr_quantization_unit_payload(Visitor& v, NnrQuantizationUnitPayload& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (s.quantization_compression_format == 0) {
    if (!v.text(FieldId::quantization_data, t.quantization_data)) return false;
    t.has_quantization_data = true;
  } else {
    if (!v.bytes(FieldId::quantization_data, t.quantization_data)) return false;
    t.has_quantization_data = true;
  }
  return true;
}

template <class Visitor>
bool visit_nnr_compressed_data_unit_payload(Visitor& v, NnrCompressedDataUnitPayload& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.bytes(FieldId::nnr_compressed_data_unit_payload, t.nnr_compressed_data_unit_payload)) return false;
  return true;
}

template <class Visitor>
bool visit_nnr_aggregate_unit_payload(Visitor& v, NnrAggregateUnitPayload& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.bytes(FieldId::nnr_aggregate_unit_body, t.nnr_aggregate_unit_body)) return false;
  return true;
}

template <class Visitor>
bool visit_nnr_unit(Visitor& v, NnrUnit& t) {
  [[maybe_unused]] Scope& s = v.scope;
  if (!v.value(FieldId::nnr_unit_size_flag, t.nnr_unit_size_flag, 1)) return false;
  s.nnr_unit_size_flag = t.nnr_unit_size_flag;
  if (!v.value(FieldId::nnr_unit_size, t.nnr_unit_size)) return false;
  if (!v.value(FieldId::nnr_unit_type, t.nnr_unit_type, 6)) return false;
  s.nnr_unit_type = t.nnr_unit_type;
  if (!v.value(FieldId::independently_decodable_flag, t.independently_decodable_flag, 1)) return false;
  if (!v.value(FieldId::partial_data_counter_present_flag, t.partial_data_counter_present_flag, 1)) return false;
  s.partial_data_counter_present_flag = t.partial_data_counter_present_flag;
  if (s.partial_data_counter_present_flag == 1) {
    if (!v.value(FieldId::partial_data_counter, t.partial_data_counter, 8)) return false;
    t.has_partial_data_counter = true;
  }
  switch (s.nnr_unit_type) {
    case 0:
      if (!visit_nnr_start_unit_header(v, t.nnr_start_unit_header)) return false;
      break;
    case 1:
      if (!visit_nnr_model_parameter_set_unit_header(v, t.nnr_model_parameter_set_unit_header)) return false;
      break;
    case 2:
      if (!visit_nnr_layer_parameter_set_unit_header(v, t.nnr_layer_parameter_set_unit_header)) return false;
      break;
    case 3:
      if (!visit_nnr_topology_unit_header(v, t.nnr_topology_unit_header)) return false;
      break;
    case 4:
      if (!visit_nnr_quantization_unit_header(v, t.nnr_quantization_unit_header)) return false;
      break;
    case 5:
      if (!visit_nnr_compressed_data_unit_header(v, t.nnr_compressed_data_unit_header)) return false;
      break;
    case 6:
      if (!visit_nnr_aggregate_unit_header(v, t.nnr_aggregate_unit_header)) return false;
      break;
    default:
      break;
  }
  if (s.partial_data_counter_present_flag == 1) {
    if (!v.bytes(FieldId::nnr_partial_unit_payload, t.nnr_partial_unit_payload)) return false;
    t.has_nnr_partial_unit_payload = true;
  } else {
    switch (s.nnr_unit_type) {
      case 0:
        if (!visit_nnr_start_unit_payload(v, t.nnr_start_unit_payload)) return false;
        break;
      case 1:
        if (!visit_nnr_model_parameter_set_unit_payload(v, t.nnr_model_parameter_set_unit_payload)) return false;
        break;
      case 2:
        if (!visit_nnr_layer_parameter_set_unit_payload(v, t.nnr_layer_parameter_set_unit_payload)) return false;
        break;
      case 3:
        if (!visit_nnr_topology_unit_payload(v, t.nnr_topology_unit_payload)) return false;
        break;
      case 4:
        if (!visit_nnr_quantization_unit_payload(v, t.nnr_quantization_unit_payload)) return false;
        break;
      case 5:
        if (!visit_nnr_compressed_data_unit_payload(v, t.nnr_compressed_data_unit_payload)) return false;
        break;
      case 6:
        if (!visit_nnr_aggregate_unit_payload(v, t.nnr_aggregate_unit_payload)) return false;
        break;
      default:
        if (!v.bytes(FieldId::nnr_unit_payload, t.nnr_unit_payload)) return false;
        t.has_nnr_unit_payload = true;
        break;
    }
  }
  return true;
}

}  // namespace nnr::syntax
