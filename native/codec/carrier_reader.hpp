// SPDX-License-Identifier: Apache-2.0
// Assembly of carried items from their pieces.
// Source: docs/guide/carriers.md.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "carrier.hpp"
#include "fault.hpp"
#include "hash_index.hpp"
#include "nnr/memory.hpp"

namespace nnr {

// A unit of the stream. Items span units, so their places are those of the whole stream.
struct UnitPlace {
  std::uint64_t index = 0;
  std::uint64_t bit_offset = 0;
};

// A complete item. It lives until the next piece.
struct CarriedItem {
  CarriedKind kind = CarriedKind::kPadding;
  UnitPlace place;  // of its first piece
  std::uint64_t n_bytes = 0;
  std::span<const char> name;  // a zero byte follows
  std::span<const char> tag;   // likewise
  std::span<const std::uint64_t> shape;
  std::span<std::uint8_t> content;  // empty where it is not kept
};

// Tells whether the content of an item is kept.
struct Keeps {
  bool (*is_kept)(const void* opaque, CarriedKind kind, syntax::Bytes name);
  const void* opaque;
};

class CarrierReader {
 public:
  CarrierReader(const nnr_limits& limits, const nnr_allocator& allocator) : limits_(limits), allocator_(allocator) {}

  void clear();
  // Adds the next piece, and sets `item` if it is the last one of an item, else to null.
  //
  // place: of the piece's unit; faults are there.
  // total_elements, stream_bytes: of the stream so far, for the limits.
  [[nodiscard]] Fault add(syntax::Bytes topology_data, UnitPlace place, std::uint64_t total_elements, std::uint64_t stream_bytes,
                          Keeps keeps, const CarriedItem*& item);
  // Checks that no item is incomplete at the end of the stream.
  [[nodiscard]] Fault finish() const;
  // The item at work, of which more pieces follow, or null.
  [[nodiscard]] const CarriedItem* open_item() const { return is_open_ ? &item_ : nullptr; }
  // Place of the item at work, or of the last one.
  [[nodiscard]] UnitPlace item_place() const { return item_.place; }
  // Hands over the content of the item that was completed last, at its address.
  [[nodiscard]] Buffer<std::uint8_t> take_content() { return std::move(content_); }

 private:
  struct Seen {
    CarriedKind kind;
    std::size_t begin;  // of the name in names_
    std::size_t size;
  };
  [[nodiscard]] CarrierResult begin(const CarrierPiece& piece, std::uint64_t total_elements, std::uint64_t stream_bytes);
  [[nodiscard]] CarrierResult check_shape(const CarrierPiece& piece) const;
  [[nodiscard]] CarrierResult check_limits(const CarrierPiece& piece, std::uint64_t total_elements,
                                           std::uint64_t stream_bytes) const;
  [[nodiscard]] CarrierResult check_follows(const CarrierPiece& piece) const;
  [[nodiscard]] bool keep_first(const CarrierPiece& piece, bool keeps_content, std::uint64_t stream_bytes);

  const nnr_limits& limits_;
  const nnr_allocator& allocator_;
  Buffer<std::uint8_t> characters_, text_;  // of the text form
  Buffer<char> names_;                      // of all items so far, one after the other
  Buffer<Seen> seen_;
  HashIndex seen_index_;
  std::uint64_t carried_bytes_ = 0;

  // The item at work.
  bool is_open_ = false;
  bool is_kept_ = false;
  std::uint64_t received_ = 0;
  CarriedItem item_;
  Buffer<char> name_, tag_;
  Buffer<std::uint64_t> shape_;
  Buffer<std::uint8_t> content_;
};

}  // namespace nnr
