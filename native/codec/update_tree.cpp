// SPDX-License-Identifier: Apache-2.0
#include "update_tree.hpp"

#include <algorithm>
#include <cstring>

#include "hash.hpp"

namespace nnr {

using namespace syntax;

namespace {

// Raw allocation of plain values that are set at once.
template <class T>
T* allocate(const nnr_allocator& allocator, std::uint64_t size) {
  if (size > (std::uint64_t{1} << 60) / sizeof(T)) return nullptr;
  const auto n_bytes = static_cast<std::size_t>(size * sizeof(T));
  return static_cast<T*>(allocator.allocate(allocator.opaque, n_bytes == 0 ? 1 : n_bytes));
}

// Units are told apart by their names where a parameter is remembered by digest alone.
void hash_names(std::span<const Bytes> names, std::uint8_t digest[32]) {
  std::uint8_t chained[64] = {};
  for (const Bytes name : names) {
    sha256(name, chained + 32);
    sha256({chained, 64}, chained);
  }
  std::memcpy(digest, chained, 32);
}

}  // namespace

UpdateTree::~UpdateTree() {
  for (const Node& node : nodes_) release(node.record);
  for (const Digest& digest : digests_) release(digest.record);
}

void UpdateTree::free_record(Record* record) {
  for (const RememberedTensor& tensor : record->tensors) {
    if (tensor.levels != nullptr) allocator_.release(allocator_.opaque, tensor.levels);
    if (tensor.history != nullptr) allocator_.release(allocator_.opaque, tensor.history);
  }
  if (record->tensors.data() != nullptr) allocator_.release(allocator_.opaque, record->tensors.data());
  if (record->shapes != nullptr) allocator_.release(allocator_.opaque, record->shapes);
  allocator_.release(allocator_.opaque, record);
}

void UpdateTree::release(Record* record) {
  if (record != nullptr && --record->n_references == 0) free_record(record);
}

Problem UpdateTree::find_parent(const DataUnit& unit, std::span<const RememberedTensor>& previous) const {
  const NnrCompressedDataUnitHeader& header = *unit.header;
  previous = {};
  if (!header.has_parent_node_id_type) return {};
  if (header.parent_node_id_type != ICNN_NDU_ID) {
    const bool is_256 = header.parent_node_id_type == ICNN_NDU_PL_SHA256;
    const std::uint8_t* const bytes =
        is_256 ? header.parent_node_payload_sha256.bytes : header.parent_node_payload_sha512.bytes;
    const std::uint32_t n_bytes = is_256 ? 32 : 64;
    for (const Digest& digest : digests_) {
      if (digest.n_bytes != n_bytes || std::memcmp(digest.bytes, bytes, n_bytes) != 0) continue;
      if (digest.record == nullptr)
        return {NNR_LIMIT,
                {is_256 ? ElementId::parent_node_payload_sha256 : ElementId::parent_node_payload_sha512, 0},
                "", "format 5.6", "the parent lies more than max_updates_kept updates back"};
      previous = digest.record->tensors;
    }
    return {};
  }
  const std::int64_t depth = std::int64_t{header.put_node_depth} - 1;
  bool known = false;
  for (const Node& node : nodes_) {
    if (node.device_id != header.parent_device_id || node.parameter_id != header.parameter_id) continue;
    known = true;
    if (node.depth != depth) continue;
    previous = node.record->tensors;
    return {};
  }
  for (const DroppedNode& node : dropped_)
    if (node.device_id == header.parent_device_id && node.parameter_id == header.parameter_id && depth >= 0 && depth <= node.depth)
      return {NNR_LIMIT, {ElementId::put_node_depth, 0}, "", "format 5.6", "the parent lies more than max_updates_kept updates back"};
  if (known && depth >= 0)
    return {NNR_MALFORMED, {ElementId::put_node_depth, 0}, "", "format 5.6", "the unit updates one that was not sent"};
  return {};
}

UpdateTree::Record* UpdateTree::make_record(const DataUnit& unit, std::span<std::int32_t* const> levels,
                                            std::span<const RememberedTensor> previous) {
  auto* const record = allocate<Record>(allocator_, 1);
  if (record == nullptr) return nullptr;
  std::size_t n_dimensions = 0;
  for (const TensorPlan& tensor : unit.tensors) n_dimensions += tensor.shape.size();
  auto* const tensors = allocate<RememberedTensor>(allocator_, unit.tensors.size());
  *record = {1, {}, allocate<std::uint64_t>(allocator_, n_dimensions)};
  if (tensors == nullptr || record->shapes == nullptr) {
    if (tensors != nullptr) allocator_.release(allocator_.opaque, tensors);
    free_record(record);
    return nullptr;
  }
  record->tensors = {tensors, unit.tensors.size()};
  std::fill(record->tensors.begin(), record->tensors.end(), RememberedTensor{});
  std::uint64_t* shape = record->shapes;
  for (std::size_t i = 0; i < unit.tensors.size(); ++i) {
    const TensorPlan& plan = unit.tensors[i];
    RememberedTensor& tensor = tensors[i];
    std::copy(plan.shape.begin(), plan.shape.end(), shape);
    tensor.shape = {shape, plan.shape.size()};
    shape += plan.shape.size();
    tensor.n_elements = plan.n_elements;
    tensor.levels = allocate<std::int32_t>(allocator_, plan.n_elements);
    tensor.history = allocate<std::uint8_t>(allocator_, plan.n_elements);
    if (tensor.levels == nullptr || tensor.history == nullptr) {
      free_record(record);
      return nullptr;
    }
    std::copy_n(levels[i], plan.n_elements, tensor.levels);
    const std::uint8_t* const earlier = previous.empty() ? nullptr : previous[i].history;
    for (std::uint64_t j = 0; j < plan.n_elements; ++j)
      tensor.history[j] = levels[i][j] != 0 || (earlier != nullptr && earlier[j] != 0) ? 1 : 0;
  }
  return record;
}

bool UpdateTree::remember_node(const DataUnit& unit, Record* record) {
  const std::uint32_t device_id = unit.header->device_id, parameter_id = unit.header->parameter_id;
  const std::int64_t depth = unit.header->put_node_depth;
  std::uint64_t count = 1;
  std::size_t shallowest = nodes_.size();
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    if (node.device_id != device_id || node.parameter_id != parameter_id) continue;
    if (node.depth == depth) {
      release(node.record);
      node.record = record;
      ++record->n_references;
      return true;
    }
    ++count;
    if (shallowest == nodes_.size() || node.depth < nodes_[shallowest].depth) shallowest = i;
  }
  if (!nodes_.append(allocator_, {device_id, parameter_id, depth, record})) return false;
  ++record->n_references;
  if (count <= kept_) return true;
  if (shallowest == nodes_.size() - 1 || depth < nodes_[shallowest].depth) shallowest = nodes_.size() - 1;
  const std::int64_t dropped = nodes_[shallowest].depth;
  release(nodes_[shallowest].record);
  nodes_.erase(shallowest);
  for (DroppedNode& node : dropped_)
    if (node.device_id == device_id && node.parameter_id == parameter_id) {
      node.depth = std::max(node.depth, dropped);
      return true;
    }
  return dropped_.append(allocator_, {device_id, parameter_id, dropped});
}

bool UpdateTree::remember_digest(const std::uint8_t* bytes, std::uint32_t n_bytes, const std::uint8_t* group, Record* record) {
  // A unit replaces an earlier one under the same digest.
  for (std::size_t i = 0; i < digests_.size(); ++i)
    if (digests_[i].n_bytes == n_bytes && std::memcmp(digests_[i].bytes, bytes, n_bytes) == 0) {
      release(digests_[i].record);
      digests_.erase(i);
      break;
    }
  Digest digest = {};
  std::memcpy(digest.bytes, bytes, n_bytes);
  digest.n_bytes = n_bytes;
  std::memcpy(digest.group, group, sizeof digest.group);
  digest.record = record;
  if (!digests_.append(allocator_, digest)) return false;
  ++record->n_references;
  std::uint64_t count = 0;
  Digest* earliest = nullptr;
  for (Digest& candidate : digests_) {
    if (candidate.record == nullptr || candidate.n_bytes != n_bytes || std::memcmp(candidate.group, group, 32) != 0) continue;
    ++count;
    if (earliest == nullptr) earliest = &candidate;
  }
  if (count > kept_) {
    release(earliest->record);
    earliest->record = nullptr;
  }
  return true;
}

bool UpdateTree::remember(const DataUnit& unit, std::span<const std::uint8_t> payload, std::span<std::int32_t* const> levels,
                          std::span<const RememberedTensor> previous) {
  Record* const record = make_record(unit, levels, previous);
  if (record == nullptr) return false;
  std::uint8_t group[32], digest[64];
  hash_names(unit.names, group);
  bool done = !unit.header->has_device_id || remember_node(unit, record);
  sha256(payload, digest);
  done = done && remember_digest(digest, 32, group, record);
  sha512(payload, digest);
  done = done && remember_digest(digest, 64, group, record);
  release(record);
  return done;
}

}  // namespace nnr
