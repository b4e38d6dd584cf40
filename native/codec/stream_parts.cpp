// SPDX-License-Identifier: Apache-2.0
// StreamWalk: units in parts.
// Clause: format 2.4.
#include <algorithm>

#include "faults.hpp"
#include "stream_walk.hpp"

namespace nnr {

using namespace syntax;

namespace {

/** Bytes of the header of a unit's type; 0 for one without, and for a data unit, whose header has no fixed size. */
[[nodiscard]] std::uint64_t header_bytes(unsigned type) {
  if (type == NNR_LPS) return 1;
  return type == NNR_TPL || type == NNR_QNT ? 2 : 0;
}

[[nodiscard]] bool has_header(unsigned type) { return type == NNR_NDU || header_bytes(type) > 0; }

}  // namespace

Fault StreamWalk::take_part(const Span& span, Arena& arena, bool& is_last) {
  if (const Fault fault = check_order(span); fault.status != NNR_OK) return fault;
  const auto broken = [&](const char* text) {
    return framing_fault(NNR_MALFORMED, 8 * (span.header + (span.is_part() ? 1 : 0)), ElementId::partial_data_counter, text);
  };
  if (parts_open_ && span.type != first_part_.type) {
    if (span.is_part() && span.end == span.header + 1)
      return framing_fault(NNR_TRUNCATED, 8 * span.end, ElementId::partial_data_counter, "the unit ends before its counter");
    return broken("a unit of another type comes before the last part");
  }
  const bool starts = span.type == NNR_STR && span.is_part() && span.end > span.header + 1;
  if (starts && span.data[span.header + 1] != 0) return broken("a start unit does not come in parts");
  if (span.is_part() || has_header(span.type)) {
    // The header of a unit without counter is checked before the missing counter, its payload is not (format 7.4).
    const Fault fault = parse(span, arena);
    const std::uint64_t payload_bit = 8 * (span.header + 1 + header_bytes(span.type));
    const bool in_header = span.is_part() || span.type == NNR_NDU || fault.bit_offset < payload_bit;
    if (fault.status != NNR_OK && in_header) return fault;
    if (span.type == NNR_NDU) {
      DataUnit data;
      const Problem problem = read_header(unit_.nnr_compressed_data_unit_header, limits_, arena, data);
      if (!problem.ok()) return fault_at(span, problem, NNR_STAGE_HEADER);
    }
  }
  if (!span.is_part()) return broken("a whole unit comes before the last part");
  if (parts_open_ && unit_.partial_data_counter != parts_to_come_ - 1)
    return broken("the counter does not follow that of the part before");
  const Bytes payload = unit_.nnr_partial_unit_payload;
  const std::uint64_t payload_begin = span.end - payload.size();
  const Part header = {span.header + 2, payload_begin};
  if (parts_open_ && !std::ranges::equal(bytes_of(header), bytes_of(part_header_)))
    return broken("the headers of a unit's parts differ");
  if (!parts_open_) {
    parts_.clear();
    first_part_ = span;
    first_part_index_ = index_;
    joined_payload_bytes_ = 0;
    parts_open_ = true;
  }
  part_header_ = header;
  parts_to_come_ = unit_.partial_data_counter;
  joined_payload_bytes_ += payload.size();
  if (!parts_.append(options_.allocator, {payload_begin, span.end})) return out_of_memory();
  if (saturating_sum(joined_payload_bytes_, span.end - span.begin) > limits_.max_unit_bytes) {
    index_ = first_part_index_;
    return {NNR_LIMIT, NNR_STAGE_FRAMING, 8 * first_part_.begin, "", "format 2", "the joined unit is larger than max_unit_bytes"};
  }
  is_last = parts_to_come_ == 0;
  return {};
}

Fault StreamWalk::join_parts(Span& joined) {
  const std::uint64_t n_behind_size = 1 + part_header_.end - part_header_.begin + joined_payload_bytes_;
  const unsigned field_bytes = n_behind_size + 2 < 1U << 15 ? 2 : 4;
  const std::uint64_t size = n_behind_size + field_bytes;
  const nnr_allocator& allocator = options_.allocator;
  parts_open_ = false;
  bool done = joined_.start(allocator, size);
  for (unsigned i = 0; done && i < field_bytes; ++i) {
    const auto octet = static_cast<std::uint8_t>(size >> (8 * (field_bytes - 1 - i)));
    const auto flag = static_cast<std::uint8_t>(field_bytes == 4 && i == 0 ? 0x80 : 0);
    done = joined_.append(allocator, static_cast<std::uint8_t>(octet | flag), first_part_.begin + i);
  }
  const std::uint8_t* const stream = stream_.data();
  const std::uint64_t type = first_part_.header;
  done = done && joined_.append(allocator, static_cast<std::uint8_t>(stream[type] & ~1U), type);
  done = done && joined_.append(allocator, bytes_of(part_header_), part_header_.begin);
  for (const Part& part : parts_) done = done && joined_.append(allocator, bytes_of(part), part.begin);
  parts_.clear();
  if (!done) return out_of_memory();
  joined = {joined_.bytes().data(), 0, size, field_bytes, first_part_.type};
  is_joined_ = true;
  return {};
}

}  // namespace nnr
