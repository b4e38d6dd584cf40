// SPDX-License-Identifier: Apache-2.0
#include "source_reader.hpp"

#include <algorithm>
#include <new>

#include "parser.hpp"

namespace nnr {

using syntax::Bytes;

namespace {

constexpr CarrierResult kOutOfMemory = {NNR_MEMORY, "out of memory"};

}  // namespace

void SourceReader::clear() {
  carriers_.clear();
  types_.clear();
  is_described_ = false;
  name_bytes_.clear();
  full_names_.clear();
  drop_patches(true);
}

Fault SourceReader::add(Bytes topology_data, UnitPlace place, std::uint64_t total_elements, std::uint64_t stream_bytes,
                        Keeps keeps, const CarriedItem*& item) {
  item = nullptr;
  if (!is_carrier(topology_data)) {
    if (is_described_ || !TypeRules::is_description(topology_data)) return {};
    return carrier_fault(take_description(topology_data), place.bit_offset);
  }
  const Fault fault = carriers_.add(topology_data, place, total_elements, stream_bytes, keeps, item);
  if (fault.status != NNR_OK || item == nullptr) return fault;
  CarrierResult result;
  if (item->kind == CarriedKind::kNames) result = take_names(item->content);
  if (item->kind == CarriedKind::kDescription && !is_described_) result = take_description(item->content);
  return carrier_fault(result, item->place.bit_offset);
}

CarrierResult SourceReader::take_description(Bytes text) {
  is_described_ = true;
  const nnr_status status = types_.read(text, listener_);
  if (status == NNR_MEMORY) return kOutOfMemory;
  return status == NNR_OK ? CarrierResult{} : CarrierResult{status, "the source description cannot be read"};
}

CarrierResult SourceReader::take_names(std::span<const std::uint8_t> text) {
  if (!syntax::is_utf8(text)) return {NNR_MALFORMED, "a carried text is not UTF-8"};
  const auto n_names = static_cast<std::uint64_t>(std::count(text.begin(), text.end(), 0)) + 1;
  if (n_names > limits_.max_names) return {NNR_LIMIT, "the list of full names is beyond max_names"};
  if (!name_bytes_.allocate(allocator_, std::uint64_t{text.size()} + 1) || !full_names_.allocate(allocator_, n_names))
    return kOutOfMemory;
  std::copy(text.begin(), text.end(), name_bytes_.begin());
  name_bytes_[text.size()] = 0;
  HashIndex index;
  std::uint8_t* at = name_bytes_.data();
  std::size_t longest = 0;
  for (std::size_t i = 0; i < full_names_.size(); ++i) {
    std::uint8_t* const end = std::find(at, name_bytes_.end(), 0);
    const Bytes name = full_names_[i] = {at, end};
    longest = std::max(longest, name.size());
    const std::uint64_t hash = index.hash(name.data(), name.size());
    const auto same = [&](std::size_t place) { return std::ranges::equal(full_names_[place], name); };
    if (index.find(hash, same) != HashIndex::kAbsent) return {NNR_MALFORMED, "the list of full names has a name twice"};
    if (!index.set(allocator_, hash, i, [](std::size_t) { return false; })) return kOutOfMemory;
    at = end + 1;
  }
  return longest > limits_.max_name_bytes ? CarrierResult{NNR_LIMIT, "a full name is beyond max_name_bytes"} : CarrierResult{};
}

bool SourceReader::keep_patch(const CarriedItem& item) {
  void* const memory = allocator_.allocate(allocator_.opaque, sizeof(PendingPatch));
  if (memory == nullptr) return false;
  auto* const patch = new (memory) PendingPatch;
  patch->next = patches_;
  patches_ = patch;
  patch->bit_offset = item.place.bit_offset;
  return patch->name.append(allocator_, item.name) && patch->content.append(allocator_, item.content);
}

PendingPatch* SourceReader::claim_patch(std::span<const char> name) {
  for (PendingPatch* patch = patches_; patch != nullptr; patch = patch->next) {
    if (patch->is_claimed || !std::ranges::equal(patch->name, name)) continue;
    patch->is_claimed = true;
    return patch;
  }
  return nullptr;
}

void SourceReader::drop_patches(bool all) {
  for (PendingPatch** link = &patches_; *link != nullptr;) {
    PendingPatch* const patch = *link;
    if (!all && !patch->is_claimed) {
      link = &patch->next;
      continue;
    }
    *link = patch->next;
    patch->~PendingPatch();
    allocator_.release(allocator_.opaque, patch);
  }
}

}  // namespace nnr
