// SPDX-License-Identifier: Apache-2.0
// StreamDecoder: tensors with the names, types and shapes of the source.
// Source: docs/guide/carriers.md.
#include <algorithm>
#include <cstring>

#include "element_types.hpp"
#include "faults.hpp"
#include "inflate.hpp"
#include "stream_decoder.hpp"
#include "tensor_patch.hpp"

namespace nnr {

using namespace syntax;

Fault StreamDecoder::take_topology(const Span& span, bool& is_data) {
  const NnrTopologyUnitPayload& topology = unit_.nnr_topology_unit_payload;
  const NnrTopologyUnitHeader& header = unit_.nnr_topology_unit_header;
  if (topology.has_topology_elements_ids_list)
    return keep_names(topology.topology_elements_ids_list.topology_elem_id_list) ? Fault{} : out_of_memory();
  if (!topology.has_topology_data) return {};
  const bool is_read = options_.view == NNR_SOURCE && header.topology_storage_format == 0;
  Bytes content = topology.topology_data;
  Buffer<std::uint8_t> inflated;
  if (header.topology_compression_format == 1) {
    const InflateResult result =
        inflate_content(content, limits_.max_topology_bytes, options_.allocator, is_read ? &inflated : nullptr);
    if (result.status != NNR_OK)
      return fault_at(span, {result.status, {ElementId::topology_data, 0}, "", "format 2", result.text}, NNR_STAGE_HEADER);
    content = {inflated.data(), inflated.size()};
  } else if (!content.empty() && content.back() == 0) {
    // Some encoders write text that ends with a zero byte, others bytes.
    content = content.first(content.size() - 1);
  }
  if (!is_read) return {};
  // Items span units, so their places are those of the whole stream.
  const std::uint64_t place = in_whole_stream(in_stream({NNR_MORE, NNR_STAGE_HEADER, 8 * span.begin, "", "", ""})).bit_offset;
  const CarriedItem* tensor = nullptr;
  const Keeps keeps = {!headers_only_ && !skips_carried_, !headers_only_};
  const Fault fault = source_.add(content, place, state_.total_elements, base_ + stream_.size(), keeps, tensor);
  if (fault.status != NNR_OK) return placed(fault);
  if (tensor == nullptr) return {};
  is_data = true;
  return describe_carried(*tensor) ? Fault{} : out_of_memory();
}

Fault StreamDecoder::placed(Fault fault) {
  is_joined_ = false;
  fault.bit_offset -= 8 * base_;
  return fault;
}

bool StreamDecoder::describe_carried(const CarriedItem& item) {
  auto* const tensor = arena_.make<nnr_tensor>(1);
  if (tensor == nullptr) return false;
  tensor->name = item.name.data();
  tensor->name_bytes = item.name.size();
  tensor->shape = item.shape.data();
  tensor->n_dimensions = item.shape.size();
  tensor->n_elements = 1;
  for (const std::uint64_t dimension : item.shape) tensor->n_elements = saturating_product(tensor->n_elements, dimension);
  tensor->type = type_of_tag({item.tag.data(), item.tag.size()});
  tensor->type_name = item.tag.data();
  tensor->n_bytes = item.n_bytes;
  tensor->coding = NNR_CODING_CARRIED;
  tensor->step_size = 1.0;
  tensor->unit = index_;
  tensors_ = {tensor, 1};
  to_native_order(item.content, tensor->type);
  carried_ = &item;
  can_read_ = item.content.size() == item.n_bytes;
  return true;
}

Fault StreamDecoder::use_full_names(const Span& span) {
  if (options_.view != NNR_SOURCE || !source_.has_full_names() || data_.header->has_topology_elem_id_index ||
      !data_.header->topology_elements_ids_list.topology_elem_id_index_list.empty())
    return {};
  auto* const names = arena_.make<Bytes>(data_.names.size());
  if (names == nullptr) return out_of_memory();
  for (std::size_t i = 0; i < data_.names.size(); ++i) {
    names[i] = source_.full_name(data_.names[i]);
    if (names[i].data() == nullptr)
      return {NNR_MALFORMED,  NNR_STAGE_HEADER,
              8 * span.begin, element_name(ElementId::topology_elem_id),
              "format 3",     "a short name stands for none of the full names"};
  }
  data_.names = {names, data_.names.size()};
  return {};
}

bool StreamDecoder::is_recomposed(const nnr_tensor& tensor) const {
  if (data_.header->nnr_compressed_data_unit_payload_type == NNR_PT_INT) return false;
  const auto has = [&](nnr_role role) {
    return std::ranges::any_of(tensors_, [=](const nnr_tensor& t) { return t.role == role; });
  };
  return tensor.role == NNR_ROLE_G || tensor.role == NNR_ROLE_H || tensor.role == NNR_ROLE_LOCAL_SCALING ||
         (tensor.role == NNR_ROLE_WEIGHT && has(NNR_ROLE_LOCAL_SCALING));
}

Fault StreamDecoder::use_source_types() {
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    nnr_tensor& tensor = tensors_[i];
    n_bits_[i] = 0;
    TypeLabel label;
    if (options_.view == NNR_SOURCE) {
      if (!source_.types().label({tensor.name, tensor.name_bytes}, label)) return out_of_memory();
      if (!label.is_known)
        return payload_fault({NNR_MALFORMED, {}, "topology_data", "format 2", "the source description names an unknown type"},
                             NNR_STAGE_RECONSTRUCTION);
      if (label.is_scalar && tensor.n_elements == 1) tensor.n_dimensions = 0;
      if (label.is_typed) {
        tensor.type = label.type;
      } else if (data_.header->has_nnr_decompressed_data_format) {
        const OutputFormat format = output_format(data_.header->nnr_decompressed_data_format);
        tensor.type = format.type;
        n_bits_[i] = format.n_bits;
      }
      // Weights are made from float32 factors.
      if (options_.recompose != 0 && is_recomposed(tensor)) tensor.type = NNR_FLOAT32;
      patches_[i] = source_.claim_patch({tensor.name, tensor.name_bytes});
    }
    tensor.type_name = element_type(tensor.type).tag;
    tensor.n_bytes = saturating_product(element_type(tensor.type).n_bytes, tensor.n_elements);
  }
  return {};
}

Fault StreamDecoder::read_carried(void* const* buffers) const {
  if (buffers != nullptr && buffers[0] != nullptr && !carried_->content.empty())
    std::memcpy(buffers[0], carried_->content.data(), carried_->content.size());
  return {};
}

Fault StreamDecoder::read_values(void* const* buffers) {
  const bool are_integers = data_.header->nnr_compressed_data_unit_payload_type == NNR_PT_INT;
  const nnr_type coded = are_integers ? NNR_INT32 : NNR_FLOAT32;
  // The coded values of types narrower than they are.
  Buffer<std::int32_t> scratch[kMaxTensors];
  void* coded_values[kMaxTensors] = {};
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    coded_values[i] = buffers[i];
    if (buffers[i] == nullptr || element_type(tensors_[i].type).n_bytes >= 4) continue;
    if (!scratch[i].allocate(options_.allocator, tensors_[i].n_elements)) return out_of_memory();
    coded_values[i] = scratch[i].data();
  }
  if (const Fault fault = read_coded(NNR_VALUES, coded_values); fault.status != NNR_OK) return fault;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const nnr_tensor& tensor = tensors_[i];
    if (buffers[i] == nullptr) continue;
    if (const PendingPatch* const patch = patches_[i]; patch != nullptr) {
      const bool fits = !are_integers && apply_patch({patch->content.data(), patch->content.size()}, tensor.n_elements,
                                                     static_cast<float*>(coded_values[i]));
      if (!fits)
        return placed({NNR_MALFORMED, NNR_STAGE_RECONSTRUCTION, patch->bit_offset, element_name(ElementId::topology_data),
                       "format 2", "the patch is damaged or does not fit its tensor"});
    }
    if (tensor.type == coded && n_bits_[i] == 0) continue;
    if (!convert_elements(coded_values[i], are_integers, tensor.n_elements, tensor.type, n_bits_[i], buffers[i]))
      return in_stream(payload_fault(
          {NNR_MALFORMED, {}, "nnr_decompressed_data_format", "format 4", "the tensor has values that its type cannot hold"},
          NNR_STAGE_RECONSTRUCTION));
  }
  return {};
}

}  // namespace nnr
