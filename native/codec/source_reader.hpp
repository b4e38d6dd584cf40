// SPDX-License-Identifier: Apache-2.0
// The topology units that describe a stream's source: data types, full names, carried tensors and patches. Metadata, attachments
// and graphs are skipped.
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
  SourceReader(const nnr_limits& limits, const nnr_allocator& allocator)
      : limits_(limits), allocator_(allocator), carriers_(limits, allocator), types_(allocator) {}
  SourceReader(const SourceReader&) = delete;
  SourceReader& operator=(const SourceReader&) = delete;
  ~SourceReader() { drop_patches(true); }

  void clear();
  // Takes the inflated content of a topology unit of unrecognised format, and sets `tensor` to the carried tensor that it
  // completes, else to null. Parameters are those of CarrierReader::add.
  [[nodiscard]] Fault add(syntax::Bytes topology_data, std::uint64_t bit_offset, std::uint64_t total_elements,
                          std::uint64_t stream_bytes, Keeps keeps, const CarriedItem*& tensor);
  [[nodiscard]] Fault finish() const { return carriers_.finish(); }

  // Full names, which data units refer to by their number; empty if units have full names. A zero byte follows each.
  [[nodiscard]] std::span<const syntax::Bytes> full_names() const { return {full_names_.data(), full_names_.size()}; }
  [[nodiscard]] TypeRules& types() { return types_; }

  // The patch of a tensor of the current unit, or null. It lives until the next call of drop_patches().
  [[nodiscard]] PendingPatch* claim_patch(std::span<const char> name);
  // Releases the patches of the unit before, or all.
  void drop_patches(bool all);

 private:
  [[nodiscard]] CarrierResult take(const CarriedItem& item);
  [[nodiscard]] CarrierResult take_description(syntax::Bytes text);
  [[nodiscard]] CarrierResult take_names(std::span<const std::uint8_t> text);
  [[nodiscard]] CarrierResult take_patch(const CarriedItem& item);

  const nnr_limits& limits_;
  const nnr_allocator& allocator_;
  CarrierReader carriers_;
  TypeRules types_;
  bool is_described_ = false;
  Buffer<std::uint8_t> name_bytes_;
  Buffer<syntax::Bytes> full_names_;
  PendingPatch* patches_ = nullptr;
};

}  // namespace nnr
