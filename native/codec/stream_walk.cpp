// SPDX-License-Identifier: Apache-2.0
#include "stream_walk.hpp"

#include "faults.hpp"
#include "inflate.hpp"
#include "parser.hpp"

namespace nnr {

using namespace syntax;

namespace {

Fault empty_stream() { return {NNR_MALFORMED, NNR_STAGE_FRAMING, 0, "", "format 2", "the stream is empty"}; }

// A pushed stream ends here for now.
Fault wait_for_more() {
  Fault more;
  more.status = NNR_MORE;
  return more;
}

}  // namespace

StreamWalk::StreamWalk(const nnr_options& options) : options_(options), limits_(options.limits), scratch_(options.allocator) {}

void StreamWalk::reset() {
  window_.clear();
  stream_ = {};
  base_ = offset_ = end_ = n_units_ = index_ = 0;
  is_complete_ = true;
  state_ = {};
  names_.clear();
  full_names_ = {};
  parts_.clear();
  parts_open_ = is_joined_ = false;
  span_ = {};
}

Fault StreamWalk::open(std::span<const std::uint8_t> stream) {
  reset();
  stream_ = stream;
  end_ = stream.size();
  if (stream.size() > limits_.max_stream_bytes)
    return framing_fault(NNR_LIMIT, 0, ElementId::nnr_unit_size, "the stream is larger than max_stream_bytes");
  if (stream.empty()) return empty_stream();
  return check_unit_count();
}

Fault StreamWalk::open_for_pushing() {
  reset();
  is_complete_ = false;
  return {};
}

Fault StreamWalk::push(std::span<const std::uint8_t> octets) {
  if (saturating_sum(base_ + window_.size(), octets.size()) > limits_.max_stream_bytes)
    return framing_fault(NNR_LIMIT, 0, ElementId::nnr_unit_size, "the stream is larger than max_stream_bytes");
  // Bytes of finished units go once they are the larger part.
  const std::uint64_t kept = parts_open_ ? first_part_.begin : offset_;
  if (2 * kept > window_.size()) {
    window_.drop(static_cast<std::size_t>(kept));
    base_ += kept;
    offset_ -= kept;
    first_part_.begin -= kept;
    first_part_.end -= kept;
    first_part_.header -= kept;
    part_header_.begin -= kept;
    part_header_.end -= kept;
    for (Part& part : parts_) {
      part.begin -= kept;
      part.end -= kept;
    }
  }
  if (!window_.append(options_.allocator, octets)) return out_of_memory();
  stream_ = {window_.data(), window_.size()};
  end_ = stream_.size();
  return {};
}

std::uint64_t StreamWalk::place_of(std::uint64_t bit) const {
  return is_joined_ ? joined_.absolute(bit) : 8 * (base_ + span_.begin) + bit;
}

void StreamWalk::seek(std::uint64_t begin, std::uint64_t end, std::uint64_t index) {
  offset_ = begin;
  end_ = end;
  n_units_ = index;
}

std::span<const std::uint8_t> StreamWalk::unit_bytes() const {
  if (span_.data == nullptr) return {};
  return {span_.data + span_.begin, static_cast<std::size_t>(span_.end - span_.begin)};
}

Fault StreamWalk::check_unit_count() {
  // A unit has 3 bytes at least: most streams cannot hold too many.
  if (stream_.size() / 3 <= limits_.max_units) return {};
  std::uint64_t offset = 0;
  for (std::uint64_t count = 0; offset + 4 <= stream_.size(); ++count) {
    const std::uint8_t* const at = stream_.data() + offset;
    const bool is_long = (at[0] & 0x80) != 0;
    std::uint64_t size = std::uint64_t{at[0]} << 8 | at[1];
    if (is_long) size = (size << 16 | std::uint64_t{at[2]} << 8 | at[3]) & 0x7FFFFFFF;
    if (size <= (is_long ? 4U : 2U) || size > limits_.max_unit_bytes) return {};  // the walk tells what is wrong
    index_ = count;
    if (count == limits_.max_units)
      return framing_fault(NNR_LIMIT, 8 * offset, ElementId::nnr_unit_size, "the stream has more than max_units units");
    offset += size;
  }
  return {};
}

Fault StreamWalk::take_span(Span& span) {
  const std::uint64_t remaining = end_ - offset_;
  const std::uint8_t* const at = stream_.data() + offset_;
  const std::uint64_t field_bytes = (at[0] & 0x80) != 0 ? 4 : 2;
  index_ = n_units_;
  span_ = {};
  const auto fault = [&](nnr_status status, unsigned bit, const char* text) {
    return framing_fault(status, 8 * offset_ + bit, ElementId::nnr_unit_size, text);
  };
  if (field_bytes > remaining && !is_complete_) return wait_for_more();
  if (field_bytes > remaining) return fault(NNR_TRUNCATED, 1, "the stream ends inside a unit's size field");
  std::uint64_t size = 0;
  for (std::uint64_t i = 0; i < field_bytes; ++i) size = size << 8 | at[i];
  size &= (std::uint64_t{1} << (8 * field_bytes - 1)) - 1;
  if (size <= field_bytes) return fault(NNR_MALFORMED, 1, "the size is less than the unit's own header");
  if (n_units_ >= limits_.max_units) return fault(NNR_LIMIT, 0, "the stream has more than max_units units");
  if (size > limits_.max_unit_bytes) return fault(NNR_LIMIT, 0, "the unit is larger than max_unit_bytes");
  if (size > remaining && !is_complete_) return wait_for_more();
  if (size > remaining) return fault(NNR_TRUNCATED, 1, "the unit reaches beyond the stream");
  span = {stream_.data(), offset_, offset_ + size, offset_ + field_bytes, static_cast<std::uint32_t>(at[field_bytes] >> 2)};
  offset_ += size;
  ++n_units_;
  return {};
}

Fault StreamWalk::check_order(const Span& span) const {
  const char* text = nullptr;
  const bool data_seen = state_.data_seen || (parts_open_ && first_part_.type == NNR_NDU);
  if (span.type == NNR_STR) {
    if (state_.started) text = "there is a second start unit";
  } else if (!state_.started) {
    text = "the first unit is not a start unit";
  } else if (span.type == NNR_MPS) {
    if (state_.has_mps) text = "there is a second model parameter set";
    if (!state_.has_mps && data_seen) text = "the model parameter set comes after a compressed data unit";
  }
  return text == nullptr ? Fault{} : framing_fault(NNR_MALFORMED, 8 * span.header, ElementId::nnr_unit_type, text);
}

void StreamWalk::set_scope(Parser& parser) const {
  parser.scope.general_profile_idc = state_.started ? state_.general_profile_idc : 1;
  parser.scope.mps_topology_indexed_reference_flag = state_.indexed_references ? 1 : 0;
  parser.scope.mps_parent_signalling_enabled_flag = state_.parent_signalling ? 1 : 0;
  parser.scope.NumReferences = static_cast<std::int64_t>(names_.size());
}

std::uint64_t StreamWalk::locate(const Span& span, Watch place) {
  Parser parser(span.data, span.begin, span.end, limits_, scratch_, {names_.data(), names_.size()});
  set_scope(parser);
  parser.watch(place);
  NnrUnit unit;
  // Whether it parses does not matter: the element comes before the fault.
  static_cast<void>(parse_nnr_unit(parser, unit));
  scratch_.reset();
  return parser.watched_position() == Parser::kNotSeen ? 8 * span.begin : parser.watched_position();
}

Fault StreamWalk::fault_at(const Span& span, const Problem& problem, nnr_stage stage) {
  const char* const element = problem.place.element == ElementId::kNone ? problem.element : element_name(problem.place.element);
  return {problem.status, stage, locate(span, problem.place), element, problem.clause, problem.text};
}

Fault StreamWalk::fault_at(const CodedUnit& unit, const Problem& problem, nnr_stage stage) {
  const Span span = {unit.buffer, unit.begin, unit.end, 0, NNR_NDU};
  return fault_at(span, problem, stage);
}

Fault StreamWalk::fault_here(const Problem& problem, nnr_stage stage) {
  Fault fault = fault_at(span_, problem, stage);
  if (is_joined_) fault.bit_offset = joined_.absolute(fault.bit_offset);
  return in_whole_stream(fault);
}

Fault StreamWalk::parse(const Span& span, Arena& arena) {
  Parser parser(span.data, span.begin, span.end, limits_, arena, {names_.data(), names_.size()});
  set_scope(parser);
  unit_ = {};
  if (parse_nnr_unit(parser, unit_) && parser.expect_end()) return {};
  if (parser.fault_watch.element != ElementId::kNone) parser.fault.bit_offset = locate(span, parser.fault_watch);
  return parser.fault;
}

Fault StreamWalk::in_stream(const CodedUnit& unit, Fault fault) const {
  if (unit.is_joined && fault.status != NNR_OK) fault.bit_offset = joined_.absolute(fault.bit_offset);
  return fault;
}

Fault StreamWalk::next_unit(Arena& arena, WalkedUnit& unit) {
  while (offset_ < end_) {
    is_joined_ = false;
    Span span;
    if (const Fault fault = take_span(span); fault.status != NNR_OK) return fault;
    span_ = span;
    unit.begin = base_ + span.begin;
    unit.size_bytes = span.end - span.begin;
    if (parts_open_ || (span.is_part() && span.type < NNR_AGG)) {
      bool is_last = false;
      if (const Fault fault = take_part(span, arena, is_last); fault.status != NNR_OK) return fault;
      if (!is_last) continue;
      index_ = first_part_index_;
      unit.begin = base_ + first_part_.begin;
      unit.size_bytes = first_part_.end - first_part_.begin;
      if (const Fault fault = join_parts(span); fault.status != NNR_OK) return fault;
      span_ = span;
    }
    unit.index = index_;
    unit.type = span.type;
    unit.is_skipped = is_unwanted(span);
    if (unit.is_skipped) return {};
    Fault fault = take_unit(span, arena, unit);
    if (is_joined_ && fault.status != NNR_OK) fault.bit_offset = joined_.absolute(fault.bit_offset);
    return fault;
  }
  if (!is_complete_) return wait_for_more();
  if (base_ == 0 && stream_.empty()) return empty_stream();
  if (parts_open_) {
    const std::uint64_t end = 8 * end_;
    return framing_fault(NNR_TRUNCATED, end, ElementId::partial_data_counter, "the stream ends before the last part of a unit");
  }
  Fault end;
  end.status = NNR_END;
  return end;
}

Fault StreamWalk::skim(WalkedUnit& last) {
  Span span;
  while (offset_ < end_)
    if (const Fault fault = take_span(span); fault.status != NNR_OK) return fault;
  last.index = index_;
  last.begin = base_ + span.begin;
  last.size_bytes = span.end - span.begin;
  last.type = span.type;
  return {};
}

bool StreamWalk::can_skip() const {
  return is_wanted_ != nullptr && state_.has_mps && full_names_.empty() && !state_.indexed_references &&
         !state_.parent_signalling;
}

bool StreamWalk::is_unwanted(const Span& span) {
  if (span.type != NNR_NDU || !can_skip()) return false;
  // A fault behind the name does not matter in a unit that is passed over.
  static_cast<void>(parse(span, scratch_));
  const NnrCompressedDataUnitHeader& header = unit_.nnr_compressed_data_unit_header;
  const bool is_unwanted = header.has_topology_elem_id && !is_wanted_(filter_opaque_, header.topology_elem_id);
  scratch_.reset();
  return is_unwanted;
}

Fault StreamWalk::take_unit(const Span& span, Arena& arena, WalkedUnit& unit) {
  if (const Fault fault = check_order(span); fault.status != NNR_OK) return fault;
  if (const Fault fault = parse(span, arena); fault.status != NNR_OK) return fault;
  switch (span.type) {
    case NNR_STR:
      state_.started = true;
      state_.general_profile_idc = unit_.nnr_start_unit_header.general_profile_idc;
      return {};
    case NNR_MPS: {
      const NnrModelParameterSetUnitPayload& mps = unit_.nnr_model_parameter_set_unit_payload;
      state_.has_mps = true;
      state_.indexed_references = mps.mps_topology_indexed_reference_flag != 0;
      state_.parent_signalling = mps.mps_parent_signalling_enabled_flag != 0;
      if (mps.has_mps_qp_density) state_.quantisation = {true, mps.mps_qp_density, mps.mps_quantization_parameter};
      return {};
    }
    case NNR_LPS: {
      const NnrLayerParameterSetUnitPayload& lps = unit_.nnr_layer_parameter_set_unit_payload;
      if (lps.has_lps_qp_density) state_.quantisation = {true, lps.lps_qp_density, lps.lps_quantization_parameter};
      return {};
    }
    case NNR_TPL:
      return take_topology(span, unit);
    case NNR_QNT:
      if (unit_.nnr_quantization_unit_header.quantization_compression_format == 0) return {};
      return check_deflate_of(span, unit_.nnr_quantization_unit_payload.quantization_data, ElementId::quantization_data);
    case NNR_AGG:
      return framing_fault(NNR_UNSUPPORTED, 8 * span.begin, ElementId::nnr_unit_type, "aggregate units are not decoded");
    case NNR_NDU:
      return take_data_unit(span, arena, unit.coded);
    default:
      return {};  // reserved and unspecified types are skipped by their size
  }
}

Fault StreamWalk::take_topology(const Span& span, WalkedUnit& unit) {
  const NnrTopologyUnitPayload& payload = unit_.nnr_topology_unit_payload;
  if (payload.has_topology_elements_ids_list)
    return keep_names(payload.topology_elements_ids_list.topology_elem_id_list) ? Fault{} : out_of_memory();
  unit.storage_format = unit_.nnr_topology_unit_header.topology_storage_format;
  unit.compression_format = unit_.nnr_topology_unit_header.topology_compression_format;
  unit.has_topology = payload.has_topology_data;
  unit.topology = payload.topology_data;
  if (!payload.has_topology_data || unit.compression_format != 1 || !checks_topology_) return {};
  return check_deflate_of(span, payload.topology_data, ElementId::topology_data);
}

Fault StreamWalk::inflate_topology(const WalkedUnit& unit, Buffer<std::uint8_t>* inflated, Bytes& content) {
  content = unit.topology;
  if (unit.compression_format == 1) {
    const InflateResult result = inflate_content(content, limits_.max_topology_bytes, options_.allocator, inflated);
    if (result.status != NNR_OK)
      return fault_here({result.status, {ElementId::topology_data, 0}, "", "format 2", result.text}, NNR_STAGE_HEADER);
    if (inflated != nullptr) content = {inflated->data(), inflated->size()};
  } else if (!content.empty() && content.back() == 0) {
    // Some encoders write text that ends with a zero byte, others bytes.
    content = content.first(content.size() - 1);
  }
  return {};
}

Fault StreamWalk::check_deflate_of(const Span& span, Bytes octets, ElementId element) {
  const InflateResult result = inflate_content(octets, limits_.max_topology_bytes, options_.allocator, nullptr);
  if (result.status == NNR_OK) return {};
  return fault_at(span, {result.status, {element, 0}, "", "format 2", result.text}, NNR_STAGE_HEADER);
}

}  // namespace nnr
