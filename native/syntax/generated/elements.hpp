// SPDX-License-Identifier: Apache-2.0
// Generated from nnr_codec/syntax by `python -m tools.codegen`. Not to be edited.
// Syntax elements, and the values of earlier elements that conditions and counts read.
#pragma once

#include <cstdint>

namespace nnr::syntax {

inline constexpr std::int64_t NNR_PT_INT = 0;
inline constexpr std::int64_t NNR_PT_FLOAT = 1;
inline constexpr std::int64_t NNR_PT_RAW_FLOAT = 2;
inline constexpr std::int64_t NNR_PT_BLOCK = 3;
inline constexpr std::int64_t NNR_STR = 0;
inline constexpr std::int64_t NNR_MPS = 1;
inline constexpr std::int64_t NNR_LPS = 2;
inline constexpr std::int64_t NNR_TPL = 3;
inline constexpr std::int64_t NNR_QNT = 4;
inline constexpr std::int64_t NNR_NDU = 5;
inline constexpr std::int64_t NNR_AGG = 6;
inline constexpr std::int64_t ICNN_NDU_ID = 0;
inline constexpr std::int64_t ICNN_NDU_PL_SHA256 = 1;
inline constexpr std::int64_t ICNN_NDU_PL_SHA512 = 2;
inline constexpr std::int64_t NNR_CPT_DC = 1;
inline constexpr std::int64_t NNR_CPT_LS = 2;
inline constexpr std::int64_t NNR_CPT_BN = 4;
inline constexpr std::int64_t NNR_CPT_BI = 8;

enum class ElementId : std::uint8_t {
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
  dq_flag,
  nnr_decompressed_data_format,
  tensor_dimensions_flag,
  cabac_unary_length_flag,
  compressed_parameter_types,
  decomposition_rank,
  g_number_of_rows,
  count_tensor_dimensions,
  tensor_dimensions,
  topology_tensor_dimension_mapping,
  cabac_unary_length_minus1,
  first_tensor_dimension_shift,
  scan_order,
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
  sparsification_threshold,
  non_zero_ratio,
  spm_nn_accuracy,
  spm_count_classes,
  spm_class_bitmask,
  spm_nn_class_accuracy,
  ppm_count_pruning_ratios,
  pruning_ratio,
  ppm_nn_accuracy,
  ppm_count_classes,
  ppm_class_bitmask,
  ppm_nn_class_accuracy,
  upm_count_thresholds,
  count_reshaped_tensor_dimension,
  reshaped_tensor_dimensions,
  byte_alignment_2,
  count_super_block_dimension,
  super_block_dimensions,
  count_block_dimension,
  block_dimensions,
  unification_threshold,
  upm_nn_accuracy,
  upm_count_classes,
  upm_class_bitmask,
  upm_nn_class_accuracy,
  dpm_count_thresholds,
  mse_threshold,
  dpm_nn_accuracy,
  nn_reduction_ratio,
  dpm_count_classes,
  dpm_nn_class_accuracy,
  validation_set_performance,
  lps_sparsification_flag,
  lps_pruning_flag,
  lps_unification_flag,
  lps_quantization_method_flags,
  lps_qp_density,
  lps_quantization_parameter,
  nnr_pruning_topology_container,
  topology_data,
  quantization_data,
  nnr_compressed_data_unit_payload,
  nnr_aggregate_unit_body,
  nnr_unit_payload,
  kNone,
};

// Static strings.
[[nodiscard]] const char* element_name(ElementId element);
[[nodiscard]] const char* element_clause(ElementId element);

// Most recent values, absent elements as inferred.
struct Scope {
  std::int64_t CbZeroOffset = 0;
  std::int64_t NumEntryPoints = 0;
  std::int64_t NumReferences = 0;
  std::int64_t base_model_id_present_flag = 0;
  std::int64_t cabac_unary_length_flag = 0;
  std::int64_t codebook_center_offset = 0;
  std::int64_t codebook_egk = 0;
  std::int64_t codebook_present_flag = 0;
  std::int64_t codebook_size = 0;
  std::int64_t compressed_parameter_types = 0;
  std::int64_t count_block_dimension = 0;
  std::int64_t count_reshaped_tensor_dimension = 0;
  std::int64_t count_super_block_dimension = 0;
  std::int64_t count_tensor_dimensions = 0;
  std::int64_t count_topology_elements_minus2 = 0;
  std::int64_t dpm_count_classes = 0;
  std::int64_t dpm_count_thresholds = 0;
  std::int64_t dq_flag = 0;
  std::int64_t general_profile_idc = 0;
  std::int64_t input_parameters_present_flag = 0;
  std::int64_t j = 0;
  std::int64_t lps_pruning_flag = 0;
  std::int64_t lps_quantization_method_flags = 0;
  std::int64_t lps_sparsification_flag = 0;
  std::int64_t lps_unification_flag = 0;
  std::int64_t metric_type_performance_map_valid_flag = 0;
  std::int64_t mps_decomposition_performance_map_flag = 0;
  std::int64_t mps_parent_signalling_enabled_flag = 0;
  std::int64_t mps_pruning_flag = 0;
  std::int64_t mps_quantization_method_flags = 0;
  std::int64_t mps_sparsification_flag = 0;
  std::int64_t mps_topology_indexed_reference_flag = 0;
  std::int64_t mps_unification_flag = 0;
  std::int64_t nnr_compressed_data_unit_payload_type = 0;
  std::int64_t nnr_decompressed_data_format_present_flag = 0;
  std::int64_t nnr_multiple_topology_elements_present_flag = 0;
  std::int64_t nnr_unit_size_flag = 0;
  std::int64_t nnr_unit_type = 0;
  std::int64_t node_id_present_flag = 0;
  std::int64_t parent_node_id_present_flag = 0;
  std::int64_t parent_node_id_type = 0;
  std::int64_t partial_data_counter_present_flag = 0;
  std::int64_t ppm_count_classes = 0;
  std::int64_t ppm_count_pruning_ratios = 0;
  std::int64_t quantization_compression_format = 0;
  std::int64_t scan_order = 0;
  std::int64_t spm_count_classes = 0;
  std::int64_t spm_count_thresholds = 0;
  std::int64_t tensor_dimensions_flag = 0;
  std::int64_t topology_elem_id_index = 0;
  std::int64_t topology_elem_id_index_list = 0;
  std::int64_t topology_storage_format = 0;
  std::int64_t upm_count_classes = 0;
  std::int64_t upm_count_thresholds = 0;
  std::int64_t validation_set_performance_present_flag = 0;
};

}  // namespace nnr::syntax
