// SPDX-License-Identifier: Apache-2.0
#include "carrier_reader.hpp"

#include <algorithm>
#include <cstring>

#include "data_unit.hpp"
#include "element_types.hpp"

namespace nnr {

namespace {

CarrierResult malformed(const char* text) { return {NNR_MALFORMED, text}; }
CarrierResult beyond(const char* text) { return {NNR_LIMIT, text}; }

// Copies a text and a zero byte.
bool copy_text(const nnr_allocator& allocator, syntax::Bytes octets, Buffer<char>& text) {
  if (!text.allocate(allocator, std::uint64_t{octets.size()} + 1)) return false;
  std::copy(octets.begin(), octets.end(), text.begin());
  text[octets.size()] = 0;
  return true;
}

}  // namespace

void CarrierReader::clear() {
  names_.clear();
  seen_.clear();
  seen_index_.clear();
  content_.clear();
  carried_bytes_ = received_ = 0;
  is_open_ = false;
}

Fault CarrierReader::add(syntax::Bytes topology_data, UnitPlace place, std::uint64_t total_elements, std::uint64_t stream_bytes,
                         Keeps keeps, const CarriedItem*& item) {
  item = nullptr;
  CarrierPiece piece;
  CarrierResult result = read_piece(topology_data, limits_.max_topology_bytes, allocator_, characters_, text_, piece);
  if (result.status == NNR_OK && !is_open_) {
    result = begin(piece, total_elements, stream_bytes);
    if (result.status == NNR_OK) {
      if (!keep_first(piece, keeps.is_kept(keeps.opaque, piece.kind, piece.name), stream_bytes))
        return carrier_fault({NNR_MEMORY, "out of memory"}, 0);
      item_.place = place;
    }
  }
  if (result.status == NNR_OK) result = check_follows(piece);
  if (result.status != NNR_OK) return carrier_fault(result, place.bit_offset);
  if (is_kept_) {
    if (!content_.extend(allocator_, piece.shuffled.size())) return carrier_fault({NNR_MEMORY, "out of memory"}, 0);
    unshuffle(piece, content_.data() + received_);
  }
  received_ += piece.shuffled.size();
  if (received_ < piece.total) return {};
  is_open_ = false;
  item_.content = {content_.data(), content_.size()};
  item = &item_;
  return {};
}

Fault CarrierReader::finish() const {
  return is_open_ ? carrier_fault(malformed("a carried item ends early: a piece is missing"), item_.place.bit_offset) : Fault{};
}

CarrierResult CarrierReader::begin(const CarrierPiece& piece, std::uint64_t total_elements, std::uint64_t stream_bytes) {
  const std::uint64_t hash =
      seen_index_.hash(seen_index_.hash(piece.name.data(), piece.name.size()) ^ static_cast<std::uint64_t>(piece.kind));
  const auto same = [&](std::size_t place) {
    const Seen& seen = seen_[place];
    return seen.kind == piece.kind && seen.size == piece.name.size() &&
           std::equal(piece.name.begin(), piece.name.end(), reinterpret_cast<const std::uint8_t*>(names_.data()) + seen.begin);
  };
  if (seen_index_.find(hash, same) != HashIndex::kAbsent) return malformed("an item is carried twice: a piece is repeated");
  if (piece.offset != 0) return malformed("a carried item begins later than its first byte: a piece is missing");
  if (piece.kind == CarriedKind::kTensor)
    if (const CarrierResult result = check_shape(piece); result.status != NNR_OK) return result;
  if (const CarrierResult result = check_limits(piece, total_elements, stream_bytes); result.status != NNR_OK) return result;
  carried_bytes_ += piece.total;
  const std::span name{reinterpret_cast<const char*>(piece.name.data()), piece.name.size()};
  const std::size_t begin = names_.size();
  if (!names_.append(allocator_, name) || !seen_.append(allocator_, {piece.kind, begin, name.size()}) ||
      !seen_index_.set(allocator_, hash, seen_.size() - 1, [](std::size_t) { return false; }))
    return {NNR_MEMORY, "out of memory"};
  return {};
}

CarrierResult CarrierReader::check_shape(const CarrierPiece& piece) const {
  if (piece.shape.size() / 8 > limits_.max_dimensions) return beyond("a carried tensor has more than max_dimensions dimensions");
  const nnr_type type = type_of_tag({reinterpret_cast<const char*>(piece.tag.data()), piece.tag.size()});
  if (type == NNR_OPAQUE) return {};
  std::uint64_t n_bytes = element_type(type).n_bytes;
  bool is_empty = false;
  for (std::size_t i = 0; i < piece.shape.size(); i += 8) {
    const std::uint64_t dimension = little_endian(piece.shape.subspan(i, 8));
    is_empty = is_empty || dimension == 0;
    n_bytes = saturating_product(n_bytes, dimension);
  }
  return (is_empty ? 0 : n_bytes) == piece.total ? CarrierResult{} : malformed("a carried tensor has too few or too many bytes");
}

CarrierResult CarrierReader::check_limits(const CarrierPiece& piece, std::uint64_t total_elements,
                                          std::uint64_t stream_bytes) const {
  if (piece.name.size() > limits_.max_name_bytes) return beyond("the name of a carried item is beyond max_name_bytes");
  const auto elements = [](std::uint64_t n_bytes) { return n_bytes / 4 + (n_bytes % 4 != 0 ? 1 : 0); };
  if (elements(piece.total) > limits_.max_tensor_elements) return beyond("a carried item is beyond max_tensor_elements");
  const std::uint64_t total = saturating_sum(total_elements, elements(saturating_sum(carried_bytes_, piece.total)));
  if (total > limits_.max_total_elements) return beyond("the tensors have more than max_total_elements elements");
  const std::uint64_t allowed =
      std::max(limits_.expansion_floor_bytes, saturating_product(limits_.max_expansion_ratio, stream_bytes));
  if (saturating_product(4, total) > allowed) return beyond("the stream expands beyond max_expansion_ratio");
  return {};
}

CarrierResult CarrierReader::check_follows(const CarrierPiece& piece) const {
  const bool same_name = piece.name.size() == item_.name.size() &&
                         (piece.name.empty() || std::memcmp(piece.name.data(), item_.name.data(), piece.name.size()) == 0);
  if (piece.kind != item_.kind || !same_name)
    return malformed("another item follows a carried one that is not complete: a piece is missing");
  if (piece.total != item_.n_bytes) return malformed("the pieces of a carried item differ in the total");
  if (piece.offset > received_) return malformed("a piece of a carried item is missing");
  if (piece.offset < received_) return malformed("a piece of a carried item is repeated");
  if (saturating_sum(received_, piece.shuffled.size()) > piece.total || (piece.shuffled.empty() && piece.total != 0))
    return malformed("a piece does not fit the total of its item");
  return {};
}

bool CarrierReader::keep_first(const CarrierPiece& piece, bool keeps_content, std::uint64_t stream_bytes) {
  if (!copy_text(allocator_, piece.name, name_) || !copy_text(allocator_, piece.tag, tag_)) return false;
  if (!shape_.allocate(allocator_, piece.shape.size() / 8)) return false;
  for (std::size_t i = 0; i < shape_.size(); ++i) shape_[i] = little_endian(piece.shape.subspan(8 * i, 8));
  content_.clear();
  if (keeps_content) {
    // Room for all of it, but not for more than a stream of this size can hold; pushed streams may still grow.
    constexpr std::uint64_t kMostInflation = 1032;
    const std::uint64_t most = saturating_product(kMostInflation, stream_bytes);
    if (!content_.allocate(allocator_, std::min(piece.total, most))) return false;
    content_.shrink(0);
  }
  item_ = {piece.kind,
           {},
           piece.total,
           {name_.data(), name_.size() - 1},
           {tag_.data(), tag_.size() - 1},
           {shape_.data(), shape_.size()},
           {}};
  is_open_ = true;
  is_kept_ = keeps_content;
  received_ = 0;
  return true;
}

}  // namespace nnr
