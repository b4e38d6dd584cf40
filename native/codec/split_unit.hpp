// SPDX-License-Identifier: Apache-2.0
// A data unit of one tensor whose block rows are decoded in pieces, on several threads, from the entry points in its header.
// Clause: format 3, 5.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "coded_unit.hpp"
#include "nnr/block_rows.hpp"

namespace nnr {

class SplitUnit {
 public:
  // Decodes the side data. `unit`, which updates no other, and `allocator` must outlive the object.
  SplitUnit(const CodedUnit& unit, const nnr_allocator& allocator);

  // Number of pieces; 0 where the unit has to be decoded in order.
  [[nodiscard]] std::size_t count() const { return rows_ ? rows_->count() : 0; }
  // Decodes a piece into the tensor's `levels`. Calls for different pieces may run at once. With `dequantizes`, levels become
  // float32 values.
  void decode(std::size_t piece, std::int32_t* levels, bool dequantizes);
  // After all pieces: false if the entry points were wrong, so that the unit has to be decoded in order.
  [[nodiscard]] bool is_verified() const { return rows_ && rows_->all_verified(); }
  // Completes the levels or values of a verified unit.
  [[nodiscard]] Fault finish(std::int32_t* levels, bool dequantizes) const;
  // Quantisation parameter; 0 for integers.
  [[nodiscard]] std::int32_t qp() const;

 private:
  // Levels of a codebook are checked before they become values.
  [[nodiscard]] bool has_codebook() const { return !unit_.data.tensors[0].codebook.values.empty(); }

  const CodedUnit& unit_;
  std::optional<BlockRows> rows_;
};

}  // namespace nnr
