// SPDX-License-Identifier: Apache-2.0
#include "split_unit.hpp"

#include "unit_decoder.hpp"

namespace nnr {

namespace {

// Reads the entry points, in bits from the start of the first block row; none when one is not in the payload. Wrong entry points
// are no fault, because decoding in order ignores them.
void read_entry_points(const CodedUnit& unit, const nnr_allocator& allocator, Buffer<BlockRowStart>& points) {
  const auto& header = *unit.data.header;
  if (!header.has_cabac_entry_point || !points.allocate(allocator, header.cabac_entry_point.size())) return;
  const auto n_bits = static_cast<std::int64_t>(8 * unit.payload.size());
  std::int64_t position = 0, difference = 0;
  BlockRowStart* next = points.data();
  for (const auto& point : header.cabac_entry_point) {
    difference += point.has_bit_offset_delta1 ? std::int64_t{point.bit_offset_delta1} : point.bit_offset_delta2;
    position += difference;
    if (position <= 0 || position >= n_bits) return points.clear();
    *next++ = {static_cast<std::uint64_t>(position), point.cabac_offset_value, static_cast<int>(point.dq_state)};
  }
}

}  // namespace

SplitUnit::SplitUnit(const CodedUnit& unit, const nnr_allocator& allocator) : unit_(unit) {
  if (unit.data.tensors.size() != 1 || unit.is_raw() || check_quantisation(unit).status != NNR_OK) return;
  Buffer<BlockRowStart> points;
  read_entry_points(unit, allocator, points);
  if (points.size() > 0)
    rows_.emplace(unit.payload, coding_of(unit, 0, nullptr), std::span<const BlockRowStart>(points.data(), points.size()),
                  allocator);
}

void SplitUnit::decode(std::size_t piece, std::int32_t* levels, bool dequantizes) {
  if (!rows_ || !rows_->decode(piece, levels)) return;
  if (dequantizes && !unit_.is_integer() && !has_codebook()) dequantize_levels(unit_, 0, qp(), rows_->levels_of(piece, levels));
}

Fault SplitUnit::finish(std::int32_t* levels, bool dequantizes) const {
  if (!has_codebook()) return {};
  const std::span all(levels, static_cast<std::size_t>(unit_.data.tensors[0].n_elements));
  const Fault fault = check_levels(unit_, 0, all);
  if (fault.status == NNR_OK && dequantizes && !unit_.is_integer()) dequantize_levels(unit_, 0, qp(), all);
  return fault;
}

std::int32_t SplitUnit::qp() const {
  return unit_.is_integer() || !rows_ ? 0 : rows_->side().qp_value + unit_.quantisation.quantization_parameter;
}

}  // namespace nnr
