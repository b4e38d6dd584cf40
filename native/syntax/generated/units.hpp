// SPDX-License-Identifier: Apache-2.0
// Generated from nnr_codec/syntax by `python -m tools.codegen`. Not to be edited.
// One struct for each syntax table. `has_NAME` says whether a conditional element is in the stream.
#pragma once

#include <cstdint>
#include <span>

#include "../values.hpp"

namespace nnr::syntax {

class Builder;
class Parser;

struct NnrStartUnitHeader {
  std::uint32_t general_profile_idc = 0;
};

struct NnrModelParameterSetUnitHeader {
};

struct NnrLayerParameterSetUnitHeader {
  std::uint32_t lps_self_contained_flag = 0;
  std::uint32_t nnr_reserved_zero_7bits = 0;
};

struct NnrTopologyUnitHeader {
  std::uint32_t topology_storage_format = 0;
  std::uint32_t topology_compression_format = 0;
};

struct NnrQuantizationUnitHeader {
  std::uint32_t quantization_storage_format = 0;
  std::uint32_t quantization_compression_format = 0;
};

struct TopologyElementsIdsList {
  std::uint32_t count_topology_elements_minus2 = 0;
  std::uint32_t byte_alignment = 0;
  std::span<Bytes> topology_elem_id_list;
  std::span<std::uint32_t> topology_elem_id_index_list;
};

struct Codebook {
  std::uint32_t codebook_egk = 0;
  std::uint32_t codebook_size = 0;
  std::int64_t codebook_center_offset = 0;
  std::int64_t codebook_zero_value = 0;
  std::span<std::uint32_t> codebook_delta_left;
  std::span<std::uint32_t> codebook_delta_right;
};

struct NnrCompressedDataUnitHeaderCabacEntryPoint {
  std::uint32_t cabac_offset_value = 0;
  bool has_dq_state = false;
  std::uint32_t dq_state = 0;
  bool has_bit_offset_delta1 = false;
  std::uint32_t bit_offset_delta1 = 0;
  bool has_bit_offset_delta2 = false;
  std::int64_t bit_offset_delta2 = 0;
};

struct NnrCompressedDataUnitHeader {
  std::uint32_t nnr_compressed_data_unit_payload_type = 0;
  std::uint32_t nnr_multiple_topology_elements_present_flag = 0;
  std::uint32_t nnr_decompressed_data_format_present_flag = 0;
  std::uint32_t input_parameters_present_flag = 0;
  bool has_topology_elements_ids_list = false;
  TopologyElementsIdsList topology_elements_ids_list;
  bool has_topology_elem_id = false;
  Bytes topology_elem_id;
  bool has_topology_elem_id_index = false;
  std::uint32_t topology_elem_id_index = 0;
  bool has_node_id_present_flag = false;
  std::uint32_t node_id_present_flag = 0;
  bool has_device_id = false;
  std::uint32_t device_id = 0;
  bool has_parameter_id = false;
  std::uint32_t parameter_id = 0;
  bool has_put_node_depth = false;
  std::uint32_t put_node_depth = 0;
  bool has_parent_node_id_present_flag = false;
  std::uint32_t parent_node_id_present_flag = 0;
  bool has_parent_node_id_type = false;
  std::uint32_t parent_node_id_type = 0;
  bool has_temporal_context_modeling_flag = false;
  std::uint32_t temporal_context_modeling_flag = 0;
  bool has_parent_device_id = false;
  std::uint32_t parent_device_id = 0;
  bool has_parent_node_payload_sha256 = false;
  BigEndian<32> parent_node_payload_sha256;
  bool has_parent_node_payload_sha512 = false;
  BigEndian<64> parent_node_payload_sha512;
  bool has_codebook_present_flag = false;
  std::uint32_t codebook_present_flag = 0;
  bool has_codebook = false;
  Codebook codebook;
  bool has_dq_flag = false;
  std::uint32_t dq_flag = 0;
  bool has_nnr_decompressed_data_format = false;
  std::uint32_t nnr_decompressed_data_format = 0;
  bool has_tensor_dimensions_flag = false;
  std::uint32_t tensor_dimensions_flag = 0;
  bool has_cabac_unary_length_flag = false;
  std::uint32_t cabac_unary_length_flag = 0;
  bool has_compressed_parameter_types = false;
  std::uint32_t compressed_parameter_types = 0;
  bool has_decomposition_rank = false;
  std::uint32_t decomposition_rank = 0;
  bool has_g_number_of_rows = false;
  std::uint32_t g_number_of_rows = 0;
  bool has_count_tensor_dimensions = false;
  std::uint32_t count_tensor_dimensions = 0;
  bool has_tensor_dimensions = false;
  std::span<std::uint32_t> tensor_dimensions;
  bool has_cabac_unary_length_minus1 = false;
  std::uint32_t cabac_unary_length_minus1 = 0;
  bool has_second_codebook = false;
  Codebook second_codebook;
  bool has_first_tensor_dimension_shift = false;
  std::uint32_t first_tensor_dimension_shift = 0;
  bool has_scan_order = false;
  std::uint32_t scan_order = 0;
  bool has_cabac_entry_point = false;
  std::span<NnrCompressedDataUnitHeaderCabacEntryPoint> cabac_entry_point;
  std::uint32_t byte_alignment = 0;
};

struct NnrAggregateUnitHeader {
};

struct NnrStartUnitPayload {
};

struct SparsificationPerformanceMapEntry {
  Binary32 sparsification_threshold;
  Binary32 non_zero_ratio;
  Binary32 spm_nn_accuracy;
  std::uint32_t spm_count_classes = 0;
  BigEndian<32> spm_class_bitmask;
  std::span<Binary32> spm_nn_class_accuracy;
};

struct SparsificationPerformanceMap {
  std::uint32_t spm_count_thresholds = 0;
  std::span<SparsificationPerformanceMapEntry> entry;
};

struct PruningPerformanceMapEntry {
  Binary32 pruning_ratio;
  Binary32 ppm_nn_accuracy;
  std::uint32_t ppm_count_classes = 0;
  BigEndian<32> ppm_class_bitmask;
  std::span<Binary32> ppm_nn_class_accuracy;
};

struct PruningPerformanceMap {
  std::uint32_t ppm_count_pruning_ratios = 0;
  std::span<PruningPerformanceMapEntry> entry;
};

struct UnificationPerformanceMapEntry {
  std::uint32_t count_reshaped_tensor_dimension = 0;
  std::span<std::uint32_t> reshaped_tensor_dimensions;
  std::uint32_t byte_alignment = 0;
  std::uint32_t count_super_block_dimension = 0;
  std::span<std::uint32_t> super_block_dimensions;
  std::uint32_t count_block_dimension = 0;
  std::span<std::uint32_t> block_dimensions;
  Binary32 unification_threshold;
  Binary32 upm_nn_accuracy;
  std::uint32_t upm_count_classes = 0;
  BigEndian<32> upm_class_bitmask;
  std::span<Binary32> upm_nn_class_accuracy;
};

struct UnificationPerformanceMap {
  std::uint32_t upm_count_thresholds = 0;
  std::span<UnificationPerformanceMapEntry> entry;
};

struct DecompositionPerformanceMapEntry {
  Binary32 mse_threshold;
  Binary32 dpm_nn_accuracy;
  Binary32 nn_reduction_ratio;
  std::uint32_t dpm_count_classes = 0;
  std::span<Binary32> dpm_nn_class_accuracy;
};

struct DecompositionPerformanceMap {
  std::uint32_t dpm_count_thresholds = 0;
  std::span<DecompositionPerformanceMapEntry> entry;
};

struct NnrModelParameterSetUnitPayload {
  std::uint32_t topology_carriage_flag = 0;
  std::uint32_t mps_sparsification_flag = 0;
  std::uint32_t mps_pruning_flag = 0;
  std::uint32_t mps_unification_flag = 0;
  std::uint32_t mps_decomposition_performance_map_flag = 0;
  std::uint32_t mps_quantization_method_flags = 0;
  std::uint32_t mps_topology_indexed_reference_flag = 0;
  bool has_base_model_id_present_flag = false;
  std::uint32_t base_model_id_present_flag = 0;
  bool has_validation_set_performance_present_flag = false;
  std::uint32_t validation_set_performance_present_flag = 0;
  bool has_metric_type_performance_map_valid_flag = false;
  std::uint32_t metric_type_performance_map_valid_flag = 0;
  bool has_mps_parent_signalling_enabled_flag = false;
  std::uint32_t mps_parent_signalling_enabled_flag = 0;
  bool has_nnr_pre_flag = false;
  std::uint32_t nnr_pre_flag = 0;
  bool has_nnr_reserved_zero_1bit = false;
  std::uint32_t nnr_reserved_zero_1bit = 0;
  bool has_nnr_reserved_zero_2bits = false;
  std::uint32_t nnr_reserved_zero_2bits = 0;
  bool has_base_model_id = false;
  Bytes base_model_id;
  bool has_performance_metric_type = false;
  Bytes performance_metric_type;
  bool has_nnr_reserved_zero_7bits = false;
  std::uint32_t nnr_reserved_zero_7bits = 0;
  bool has_mps_qp_density = false;
  std::uint32_t mps_qp_density = 0;
  bool has_mps_quantization_parameter = false;
  std::int32_t mps_quantization_parameter = 0;
  bool has_sparsification_performance_map = false;
  SparsificationPerformanceMap sparsification_performance_map;
  bool has_pruning_performance_map = false;
  PruningPerformanceMap pruning_performance_map;
  bool has_unification_performance_map = false;
  UnificationPerformanceMap unification_performance_map;
  bool has_decomposition_performance_map = false;
  DecompositionPerformanceMap decomposition_performance_map;
  bool has_validation_set_performance = false;
  Binary32 validation_set_performance;
  std::uint32_t byte_alignment = 0;
};

struct NnrLayerParameterSetUnitPayload {
  std::uint32_t nnr_reserved_zero_1bit = 0;
  std::uint32_t lps_sparsification_flag = 0;
  std::uint32_t lps_pruning_flag = 0;
  std::uint32_t lps_unification_flag = 0;
  std::uint32_t lps_quantization_method_flags = 0;
  std::uint32_t nnr_reserved_zero_1bit_2 = 0;
  bool has_lps_qp_density = false;
  std::uint32_t lps_qp_density = 0;
  bool has_lps_quantization_parameter = false;
  std::int32_t lps_quantization_parameter = 0;
  bool has_sparsification_performance_map = false;
  SparsificationPerformanceMap sparsification_performance_map;
  bool has_pruning_performance_map = false;
  PruningPerformanceMap pruning_performance_map;
  bool has_unification_performance_map = false;
  UnificationPerformanceMap unification_performance_map;
  std::uint32_t byte_alignment = 0;
};

struct NnrTopologyUnitPayload {
  bool has_nnr_pruning_topology_container = false;
  Bytes nnr_pruning_topology_container;
  bool has_topology_elements_ids_list = false;
  TopologyElementsIdsList topology_elements_ids_list;
  bool has_topology_data = false;
  Bytes topology_data;
};

struct NnrQuantizationUnitPayload {
  bool has_quantization_data = false;
  Bytes quantization_data;
};

struct NnrCompressedDataUnitPayload {
  Bytes nnr_compressed_data_unit_payload;
};

struct NnrAggregateUnitPayload {
  Bytes nnr_aggregate_unit_body;
};

struct NnrUnit {
  std::uint32_t nnr_unit_size_flag = 0;
  std::uint32_t nnr_unit_size = 0;
  std::uint32_t nnr_unit_type = 0;
  std::uint32_t independently_decodable_flag = 0;
  std::uint32_t partial_data_counter_present_flag = 0;
  bool has_partial_data_counter = false;
  std::uint32_t partial_data_counter = 0;
  NnrStartUnitHeader nnr_start_unit_header;
  NnrModelParameterSetUnitHeader nnr_model_parameter_set_unit_header;
  NnrLayerParameterSetUnitHeader nnr_layer_parameter_set_unit_header;
  NnrTopologyUnitHeader nnr_topology_unit_header;
  NnrQuantizationUnitHeader nnr_quantization_unit_header;
  NnrCompressedDataUnitHeader nnr_compressed_data_unit_header;
  NnrAggregateUnitHeader nnr_aggregate_unit_header;
  bool has_nnr_partial_unit_payload = false;
  Bytes nnr_partial_unit_payload;
  NnrStartUnitPayload nnr_start_unit_payload;
  NnrModelParameterSetUnitPayload nnr_model_parameter_set_unit_payload;
  NnrLayerParameterSetUnitPayload nnr_layer_parameter_set_unit_payload;
  NnrTopologyUnitPayload nnr_topology_unit_payload;
  NnrQuantizationUnitPayload nnr_quantization_unit_payload;
  NnrCompressedDataUnitPayload nnr_compressed_data_unit_payload;
  NnrAggregateUnitPayload nnr_aggregate_unit_payload;
  bool has_nnr_unit_payload = false;
  Bytes nnr_unit_payload;
};

// Parses a whole unit. On failure the parser's fault says why, and what was parsed before is in the struct.
[[nodiscard]] bool parse_nnr_unit(Parser& p, NnrUnit& t);

// Builds a unit with the size field that the struct holds. On failure the builder's fault says why.
[[nodiscard]] bool build_nnr_unit(Builder& b, const NnrUnit& t);

}  // namespace nnr::syntax
