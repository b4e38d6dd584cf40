// SPDX-License-Identifier: Apache-2.0
// StreamDecoder: tensors with the names, types and shapes of the source.
// Source: docs/guide/carriers.md.
#include <algorithm>
#include <cstring>

#include "element_types.hpp"
#include "faults.hpp"
#include "stream_decoder.hpp"
#include "tensor_patch.hpp"

namespace nnr {

using namespace syntax;

Fault StreamDecoder::take_topology(bool& is_tensor) {
  const bool is_read = options_.view == NNR_SOURCE && unit_.storage_format == 0;
  Buffer<std::uint8_t> inflated;
  Bytes content;
  if (const Fault fault = walk_.inflate_topology(unit_, is_read ? &inflated : nullptr, content); fault.status != NNR_OK)
    return fault;
  if (!is_read) return {};
  const CarriedItem* item = nullptr;
  const UnitPlace place = {unit_.index, 8 * unit_.begin};
  const Fault fault =
      source_.add(content, place, walk_.state().total_elements, walk_.stream_bytes(), {keeps_content, this}, item);
  if (fault.status != NNR_OK) return fault;
  walk_.set_full_names(source_.full_names());
  is_tensor = item != nullptr && item->kind == CarriedKind::kTensor;
  if (is_tensor) return describe_carried(*item) ? Fault{} : out_of_memory();
  const bool is_patch = item != nullptr && item->kind == CarriedKind::kPatch && !headers_only_;
  return !is_patch || source_.keep_patch(*item) ? Fault{} : out_of_memory();
}

bool StreamDecoder::keeps_content(const void* self, CarriedKind kind, Bytes) {
  const auto& decoder = *static_cast<const StreamDecoder*>(self);
  if (kind == CarriedKind::kDescription || kind == CarriedKind::kNames) return true;
  if (decoder.headers_only_) return false;
  return kind == CarriedKind::kPatch || (kind == CarriedKind::kTensor && !decoder.skips_carried_);
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
  tensor->unit = unit_.index;
  tensors_ = {tensor, 1};
  to_native_order(item.content, tensor->type);
  carried_ = &item;
  can_read_ = item.content.size() == item.n_bytes;
  return true;
}

bool StreamDecoder::is_recomposed(const nnr_tensor& tensor) const {
  if (unit_.coded.is_integer()) return false;
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
      if (!types_.label({tensor.name, tensor.name_bytes}, label)) return out_of_memory();
      if (!label.is_known())
        return unit_.coded.fault({NNR_MALFORMED, {}, "topology_data", "format 2", "the source description names an unknown type"},
                                 NNR_STAGE_RECONSTRUCTION);
      if (label.is_scalar && tensor.n_elements == 1) tensor.n_dimensions = 0;
      if (!label.tag.empty()) {
        tensor.type = label.type;
      } else if (unit_.coded.data.header->has_nnr_decompressed_data_format) {
        const OutputFormat format = output_format(unit_.coded.data.header->nnr_decompressed_data_format);
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

void StreamDecoder::read_carried(void* const* buffers) const {
  if (buffers != nullptr && buffers[0] != nullptr && !carried_->content.empty())
    std::memcpy(buffers[0], carried_->content.data(), carried_->content.size());
}

Fault StreamDecoder::read_values(void* const* buffers) {
  const bool are_integers = unit_.coded.is_integer();
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
  if (const Fault fault = read_coded(NNR_VALUES, coded_values); fault.status != NNR_OK) return in_stream(fault);
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const nnr_tensor& tensor = tensors_[i];
    if (buffers[i] == nullptr) continue;
    if (const PendingPatch* const patch = patches_[i]; patch != nullptr) {
      const bool fits = !are_integers && apply_patch({patch->content.data(), patch->content.size()}, tensor.n_elements,
                                                     static_cast<float*>(coded_values[i]));
      if (!fits)
        return {NNR_MALFORMED,     NNR_STAGE_RECONSTRUCTION,
                patch->bit_offset, element_name(ElementId::topology_data),
                "format 2",        "the patch is damaged or does not fit its tensor"};
    }
    if (tensor.type == coded && n_bits_[i] == 0) continue;
    if (!convert_elements(coded_values[i], are_integers, tensor.n_elements, tensor.type, n_bits_[i], buffers[i]))
      return in_stream(unit_.coded.fault(
          {NNR_MALFORMED, {}, "nnr_decompressed_data_format", "format 4", "the tensor has values that its type cannot hold"},
          NNR_STAGE_RECONSTRUCTION));
  }
  return {};
}

}  // namespace nnr
