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

// Digests are as good as random.
std::uint64_t first_word(const std::uint8_t* digest) {
  std::uint64_t word;
  std::memcpy(&word, digest, sizeof word);
  return word;
}

Problem too_old(ElementId element) {
  return {NNR_LIMIT, {element, 0}, "", "format 5.6", "the parent lies more than max_updates_kept updates back"};
}

// Digest of the names of a unit, which identify its parameter where it has no node.
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
  for (const Parameter& parameter : parameters_)
    for (Update* update = parameter.updates; update != nullptr;) {
      Update* const next = update->next;
      release(update->record);
      allocator_.release(allocator_.opaque, update);
      update = next;
    }
  for (const Payload& payload : payloads_) release(payload.record);
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
    const HashIndex& index = is_256 ? sha256_index_ : sha512_index_;
    const std::uint8_t* const digest = is_256 ? header.parent_node_payload_sha256.bytes : header.parent_node_payload_sha512.bytes;
    const std::size_t place = index.find(index.hash(first_word(digest)), [&](std::size_t i) {
      return is_256 ? std::memcmp(payloads_[i].sha256, digest, 32) == 0 : std::memcmp(payloads_[i].sha512, digest, 64) == 0;
    });
    if (place == HashIndex::kAbsent) return {};
    const ElementId element = is_256 ? ElementId::parent_node_payload_sha256 : ElementId::parent_node_payload_sha512;
    if (payloads_[place].record == nullptr) return too_old(element);
    previous = payloads_[place].record->tensors;
    return {};
  }
  const std::int64_t depth = std::int64_t{header.put_node_depth} - 1;
  const std::size_t place = find_parameter(header.parent_device_id, header.parameter_id);
  const Problem not_sent = {
      NNR_MALFORMED, {ElementId::put_node_depth, 0}, "", "format 5.6", "the unit updates one that was not sent"};
  if (place == HashIndex::kAbsent) {
    // One device numbers its updates without gaps. Depth 0 is the model that both sides have before the first update.
    const bool continues =
        header.has_device_id && (header.device_id == header.parent_device_id || header.temporal_context_modeling_flag != 0);
    return depth >= 1 && continues ? not_sent : Problem{};
  }
  for (const Update* update = parameters_[place].updates; update != nullptr; update = update->next) {
    if (update->depth != depth) continue;
    previous = update->record->tensors;
    return {};
  }
  if (depth < 0) return {};
  if (depth <= parameters_[place].dropped_depth) return too_old(ElementId::put_node_depth);
  return not_sent;
}

std::size_t UpdateTree::find_parameter(std::uint32_t device_id, std::uint32_t parameter_id) const {
  const std::uint64_t key = std::uint64_t{device_id} << 32 | parameter_id;
  return parameter_index_.find(parameter_index_.hash(key), [&](std::size_t i) {
    return parameters_[i].device_id == device_id && parameters_[i].parameter_id == parameter_id;
  });
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
  std::size_t place = find_parameter(device_id, parameter_id);
  if (place == HashIndex::kAbsent) {
    place = parameters_.size();
    const std::uint64_t key = std::uint64_t{device_id} << 32 | parameter_id;
    if (!parameters_.append(allocator_, {device_id, parameter_id, -1, nullptr, 0})) return false;
    if (!parameter_index_.set(allocator_, parameter_index_.hash(key), place, [](std::size_t) { return false; })) return false;
  }
  Parameter& parameter = parameters_[place];
  for (Update* update = parameter.updates; update != nullptr; update = update->next) {
    if (update->depth != depth) continue;
    release(update->record);
    update->record = record;
    ++record->n_references;
    return true;
  }
  auto* const update = allocate<Update>(allocator_, 1);
  if (update == nullptr) return false;
  *update = {depth, record, parameter.updates};
  ++record->n_references;
  parameter.updates = update;
  if (++parameter.n_updates <= kept_) return true;
  Update** shallowest = &parameter.updates;
  for (Update** link = &parameter.updates; *link != nullptr; link = &(*link)->next)
    if ((*link)->depth < (*shallowest)->depth) shallowest = link;
  Update* const dropped = *shallowest;
  *shallowest = dropped->next;
  --parameter.n_updates;
  parameter.dropped_depth = std::max(parameter.dropped_depth, dropped->depth);
  release(dropped->record);
  allocator_.release(allocator_.opaque, dropped);
  return true;
}

bool UpdateTree::remember_payload(const DataUnit& unit, std::span<const std::uint8_t> payload, Record* record) {
  Payload entry = {};
  sha256(payload, entry.sha256);
  sha512(payload, entry.sha512);
  entry.record = record;
  entry.next = HashIndex::kAbsent;
  const std::size_t place = payloads_.size();
  if (!payloads_.append(allocator_, entry)) return false;
  ++record->n_references;
  // A unit replaces an earlier one under the same digest.
  const auto same_256 = [&](std::size_t i) { return std::memcmp(payloads_[i].sha256, entry.sha256, 32) == 0; };
  const auto same_512 = [&](std::size_t i) { return std::memcmp(payloads_[i].sha512, entry.sha512, 64) == 0; };
  if (!sha256_index_.set(allocator_, sha256_index_.hash(first_word(entry.sha256)), place, same_256)) return false;
  if (!sha512_index_.set(allocator_, sha512_index_.hash(first_word(entry.sha512)), place, same_512)) return false;

  Group group = {{}, place, place, 1};
  hash_names(unit.names, group.names);
  const std::uint64_t hash = group_index_.hash(first_word(group.names));
  const std::size_t known =
      group_index_.find(hash, [&](std::size_t i) { return std::memcmp(groups_[i].names, group.names, 32) == 0; });
  if (known == HashIndex::kAbsent) {
    if (!groups_.append(allocator_, group)) return false;
    if (!group_index_.set(allocator_, hash, groups_.size() - 1, [](std::size_t) { return false; })) return false;
  } else {
    payloads_[groups_[known].last].next = place;
    groups_[known].last = place;
    ++groups_[known].n_kept;
  }
  Group& kept = groups_[known == HashIndex::kAbsent ? groups_.size() - 1 : known];
  while (kept.n_kept > kept_) {
    Payload& oldest = payloads_[kept.first];
    if (oldest.record != nullptr) {
      release(oldest.record);
      oldest.record = nullptr;
      --kept.n_kept;
    }
    // The last one of a group stays its first one, though it is no longer kept.
    if (oldest.next == HashIndex::kAbsent) break;
    kept.first = oldest.next;
  }
  return true;
}

bool UpdateTree::remember(const DataUnit& unit, std::span<const std::uint8_t> payload, std::span<std::int32_t* const> levels,
                          std::span<const RememberedTensor> previous) {
  Record* const record = make_record(unit, levels, previous);
  if (record == nullptr) return false;
  bool done = !unit.header->has_device_id || remember_node(unit, record);
  done = done && remember_payload(unit, payload, record);
  release(record);
  return done;
}

}  // namespace nnr
