// SPDX-License-Identifier: Apache-2.0
// The topology units that describe a stream's source: data types, full names, and items that the caller takes, such as carried
// tensors.
// Source: docs/guide/carriers.md.
#pragma once

#include <cstdint>
#include <span>

#include "carrier_reader.hpp"
#include "type_rules.hpp"

namespace nnr {

// Elements of the named tensor, whose unit follows.
struct PendingPatch {
  Buffer<char> name;
  Buffer<std::uint8_t> content;
  std::uint64_t bit_offset = 0;
  bool is_claimed = false;
  PendingPatch* next = nullptr;
};

class SourceReader {
 public:
  // `types` receives the rules of the description, and `listener` the rest of it.
  SourceReader(const nnr_limits& limits, const nnr_allocator& allocator, TypeRules& types, DescriptionListener listener = {})
      : limits_(limits), allocator_(allocator), carriers_(limits, allocator), types_(types), listener_(listener) {}
  SourceReader(const SourceReader&) = delete;
  SourceReader& operator=(const SourceReader&) = delete;
  ~SourceReader() { drop_patches(true); }

  void clear();
  // Takes the inflated content of a topology unit of unrecognised format, and sets `item` to the item that it completes, else to
  // null. Of the items, it reads descriptions and full names itself. Parameters are those of CarrierReader::add.
  [[nodiscard]] Fault add(syntax::Bytes topology_data, UnitPlace place, std::uint64_t total_elements, std::uint64_t stream_bytes,
                          Keeps keeps, const CarriedItem*& item);
  [[nodiscard]] Fault finish() const { return carriers_.finish(); }
  [[nodiscard]] CarrierReader& carriers() { return carriers_; }

  // Full names, which data units refer to by their number; empty if units have full names. A zero byte follows each.
  [[nodiscard]] std::span<const syntax::Bytes> full_names() const { return {full_names_.data(), full_names_.size()}; }
  [[nodiscard]] bool is_described() const { return is_described_; }

  // Copies a patch. False without memory.
  [[nodiscard]] bool keep_patch(const CarriedItem& item);
  // The patch of a tensor of the current unit, or null. It lives until the next call of drop_patches().
  [[nodiscard]] PendingPatch* claim_patch(std::span<const char> name);
  // Releases the patches of the unit before, or all.
  void drop_patches(bool all);

 private:
  [[nodiscard]] CarrierResult take_description(syntax::Bytes text);
  [[nodiscard]] CarrierResult take_names(std::span<const std::uint8_t> text);

  const nnr_limits& limits_;
  const nnr_allocator& allocator_;
  CarrierReader carriers_;
  TypeRules& types_;
  DescriptionListener listener_;
  bool is_described_ = false;
  Buffer<std::uint8_t> name_bytes_;
  Buffer<syntax::Bytes> full_names_;
  PendingPatch* patches_ = nullptr;
};

}  // namespace nnr
