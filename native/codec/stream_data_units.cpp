// SPDX-License-Identifier: Apache-2.0
// StreamWalk: names, shapes and headers of data units.
// Clause: format 3.
#include <algorithm>

#include "faults.hpp"
#include "stream_walk.hpp"

namespace nnr {

using namespace syntax;

bool StreamWalk::keep_names(std::span<const Bytes> names) {
  if (names.empty()) return true;
  std::uint64_t n_bytes = 0;
  for (const Bytes name : names) n_bytes += name.size() + 1;
  if (!name_bytes_.allocate(options_.allocator, n_bytes) || !names_.allocate(options_.allocator, names.size())) return false;
  std::uint8_t* to = name_bytes_.data();
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::copy(names[i].begin(), names[i].end(), to);
    names_[i] = {to, names[i].size()};
    to += names[i].size();
    *to++ = 0;
  }
  return true;
}

bool StreamWalk::resolve_names(Arena& arena, DataUnit& data) {
  const NnrCompressedDataUnitHeader& header = *data.header;
  const TopologyElementsIdsList& list = header.topology_elements_ids_list;
  if (header.has_topology_elements_ids_list && !list.topology_elem_id_list.empty()) {
    data.names = list.topology_elem_id_list;
    return true;
  }
  const std::size_t count = header.has_topology_elements_ids_list ? list.topology_elem_id_index_list.size() : 1;
  auto* const names = arena.make<Bytes>(count);
  if (names == nullptr) return false;
  data.names = {names, count};
  if (header.has_topology_elem_id) {
    names[0] = header.topology_elem_id;
    return true;
  }
  // The parser has checked the indices.
  for (std::size_t i = 0; i < count; ++i)
    names[i] =
        names_[header.has_topology_elements_ids_list ? list.topology_elem_id_index_list[i] : header.topology_elem_id_index];
  return true;
}

Fault StreamWalk::use_full_names(const Span& span, Arena& arena, DataUnit& data) {
  if (full_names_.empty() || state_.indexed_references) return {};
  auto* const names = arena.make<Bytes>(data.names.size());
  if (names == nullptr) return out_of_memory();
  for (std::size_t i = 0; i < data.names.size(); ++i) {
    const Bytes name = data.names[i];
    std::uint64_t number = 0;
    bool is_number = !name.empty() && name.size() < 19 && (name.size() == 1 || name[0] != '0');
    for (const std::uint8_t digit : name) {
      is_number = is_number && digit >= '0' && digit <= '9';
      number = 10 * number + (digit - std::uint64_t{'0'});
    }
    if (!is_number || number >= full_names_.size())
      return {NNR_MALFORMED,  NNR_STAGE_HEADER,
              8 * span.begin, element_name(ElementId::topology_elem_id),
              "format 3",     "the name stands for none of the full names"};
    names[i] = full_names_[static_cast<std::size_t>(number)];
  }
  data.names = {names, data.names.size()};
  return {};
}

Fault StreamWalk::ask_for_shape(Arena& arena, CodedUnit& unit) const {
  constexpr std::size_t kMost = 64;
  auto* const shape = arena.make<std::uint64_t>(kMost);
  if (shape == nullptr) return out_of_memory();
  const int count = options_.shape_source == nullptr
                        ? -1
                        : options_.shape_source(options_.shape_source_opaque,
                                                reinterpret_cast<const char*>(unit.data.names[0].data()), shape, kMost);
  if (count < 0 || static_cast<std::size_t>(count) > kMost)
    return unit.fault(
        {NNR_MALFORMED, {}, "tensor_dimensions", "format 3", "neither the stream nor the caller gives the dimensions"},
        NNR_STAGE_HEADER);
  unit.data.shape = {shape, static_cast<std::size_t>(count)};
  Problem problem = count_elements(unit.data, limits_);
  if (problem.ok()) return {};
  // The dimensions are not in the stream.
  problem.element = element_name(problem.place.element);
  problem.place = {};
  return unit.fault(problem, NNR_STAGE_HEADER);
}

Fault StreamWalk::count_total(const Span& span, const CodedUnit& unit) {
  state_.total_elements = saturating_sum(state_.total_elements, unit.data.n_elements);
  if (state_.total_elements > limits_.max_total_elements)
    return unit.fault(
        {NNR_LIMIT, {}, "nnr_compressed_data_unit_payload", "format 3", "the tensors have more than max_total_elements elements"},
        NNR_STAGE_HEADER);
  const std::uint64_t allowed =
      std::max(limits_.expansion_floor_bytes, saturating_product(limits_.max_expansion_ratio, base_ + stream_.size()));
  if (saturating_product(4, state_.total_elements) <= allowed) return {};
  const Watch place = {ElementId::tensor_dimensions, 0};
  const Problem problem = {NNR_LIMIT, place, element_name(place.element), "format 3",
                           "the stream expands beyond max_expansion_ratio"};
  return unit.data.header->has_tensor_dimensions ? fault_at(span, problem, NNR_STAGE_HEADER)
                                                 : unit.fault(problem, NNR_STAGE_HEADER);
}

Fault StreamWalk::take_data_unit(const Span& span, Arena& arena, CodedUnit& unit) {
  auto* const header = arena.make<NnrCompressedDataUnitHeader>(1);
  if (header == nullptr) return out_of_memory();
  *header = unit_.nnr_compressed_data_unit_header;
  Problem problem = read_header(*header, limits_, arena, unit.data);
  if (!problem.ok()) return fault_at(span, problem, NNR_STAGE_HEADER);
  unit.payload = unit_.nnr_compressed_data_unit_payload.nnr_compressed_data_unit_payload;
  unit.buffer = span.data;
  unit.begin = span.begin;
  unit.end = span.end;
  unit.is_joined = is_joined_;
  unit.general_profile_idc = state_.general_profile_idc;
  unit.quantisation = state_.quantisation;
  if (header->has_tensor_dimensions)
    if (const Fault fault = count_total(span, unit); fault.status != NNR_OK) return fault;
  state_.data_seen = true;
  if (!resolve_names(arena, unit.data)) return out_of_memory();
  if (const Fault fault = use_full_names(span, arena, unit.data); fault.status != NNR_OK) return fault;
  if (!header->has_tensor_dimensions) {
    Fault fault = ask_for_shape(arena, unit);
    if (fault.status == NNR_MALFORMED && !needs_shapes_) return {};
    if (fault.status == NNR_OK) fault = count_total(span, unit);
    if (fault.status != NNR_OK) return fault;
  }
  problem = plan_tensors(unit.data, arena);
  return problem.ok() ? Fault{} : unit.fault(problem, NNR_STAGE_HEADER);
}

}  // namespace nnr
