// SPDX-License-Identifier: Apache-2.0
#include "stream_decoder.hpp"

#include <algorithm>

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

StreamDecoder::StreamDecoder(const nnr_options& options)
    : options_(options),
      limits_(options.limits),
      arena_(options.allocator),
      scratch_(options.allocator),
      updates_(options.allocator, options.limits.max_updates_kept),
      source_(options.limits, options.allocator) {}

void StreamDecoder::reset() {
  window_.clear();
  stream_ = {};
  base_ = offset_ = n_units_ = index_ = 0;
  is_complete_ = true;
  headers_only_ = false;
  state_ = {};
  deadline_.start(options_.max_seconds);
  names_.clear();
  source_.clear();
  carried_ = nullptr;
  parts_.clear();
  parts_open_ = is_joined_ = can_read_ = false;
  tensors_ = {};
}

Fault StreamDecoder::open(std::span<const std::uint8_t> stream) {
  reset();
  stream_ = stream;
  if (stream.size() > limits_.max_stream_bytes)
    return framing_fault(NNR_LIMIT, 0, ElementId::nnr_unit_size, "the stream is larger than max_stream_bytes");
  if (stream.empty()) return empty_stream();
  return check_unit_count();
}

Fault StreamDecoder::open_for_pushing() {
  reset();
  is_complete_ = false;
  return {};
}

Fault StreamDecoder::push(std::span<const std::uint8_t> octets) {
  if (const Fault fault = read_for_updates(); fault.status != NNR_OK) return in_whole_stream(fault);
  can_read_ = false;
  tensors_ = {};
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
  return {};
}

Fault StreamDecoder::check_unit_count() const {
  // A unit has 3 bytes at least: most streams cannot hold too many.
  if (stream_.size() / 3 <= limits_.max_units) return {};
  std::uint64_t offset = 0;
  for (std::uint64_t count = 0; offset + 4 <= stream_.size(); ++count) {
    const std::uint8_t* const at = stream_.data() + offset;
    const bool is_long = (at[0] & 0x80) != 0;
    std::uint64_t size = std::uint64_t{at[0]} << 8 | at[1];
    if (is_long) size = (size << 16 | std::uint64_t{at[2]} << 8 | at[3]) & 0x7FFFFFFF;
    if (size <= (is_long ? 4U : 2U) || size > limits_.max_unit_bytes) return {};  // the walk tells what is wrong
    if (count == limits_.max_units)
      return framing_fault(NNR_LIMIT, 8 * offset, ElementId::nnr_unit_size, "the stream has more than max_units units");
    offset += size;
  }
  return {};
}

Fault StreamDecoder::take_span(Span& span) {
  const std::uint64_t end = stream_.size(), remaining = end - offset_;
  const std::uint8_t* const at = stream_.data() + offset_;
  const std::uint64_t field_bytes = (at[0] & 0x80) != 0 ? 4 : 2;
  index_ = n_units_;
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

Fault StreamDecoder::check_order(const Span& span) const {
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

void StreamDecoder::set_scope(Parser& parser) const {
  parser.scope.general_profile_idc = state_.started ? state_.general_profile_idc : 1;
  parser.scope.mps_topology_indexed_reference_flag = state_.indexed_references ? 1 : 0;
  parser.scope.mps_parent_signalling_enabled_flag = state_.parent_signalling ? 1 : 0;
  parser.scope.NumReferences = static_cast<std::int64_t>(names_.size());
}

std::uint64_t StreamDecoder::locate(const Span& span, Watch place) {
  Parser parser(span.data, span.begin, span.end, limits_, scratch_, {names_.data(), names_.size()});
  set_scope(parser);
  parser.watch(place);
  NnrUnit unit;
  // Whether it parses does not matter: the element comes before the fault.
  static_cast<void>(parse_nnr_unit(parser, unit));
  scratch_.reset();
  return parser.watched_position() == Parser::kNotSeen ? 8 * span.begin : parser.watched_position();
}

Fault StreamDecoder::fault_at(const Span& span, const Problem& problem, nnr_stage stage) {
  const char* const element = problem.place.element == ElementId::kNone ? problem.element : element_name(problem.place.element);
  return {problem.status, stage, locate(span, problem.place), element, problem.clause, problem.text};
}

Fault StreamDecoder::parse(const Span& span) {
  Parser parser(span.data, span.begin, span.end, limits_, arena_, {names_.data(), names_.size()});
  set_scope(parser);
  unit_ = {};
  if (parse_nnr_unit(parser, unit_) && parser.expect_end()) return {};
  if (parser.fault_watch.element != ElementId::kNone) parser.fault.bit_offset = locate(span, parser.fault_watch);
  return parser.fault;
}

Fault StreamDecoder::in_stream(Fault fault) const {
  if (is_joined_ && fault.status != NNR_OK) fault.bit_offset = joined_.absolute(fault.bit_offset);
  return fault;
}

Fault StreamDecoder::read_for_updates() {
  return can_read_ && carried_ == nullptr && state_.parent_signalling && !headers_only_ ? read_unit(NNR_LEVELS, nullptr)
                                                                                        : Fault{};
}

Fault StreamDecoder::next_unit() {
  if (const Fault fault = read_for_updates(); fault.status != NNR_OK) return fault;
  can_read_ = false;
  tensors_ = {};
  carried_ = nullptr;
  source_.drop_patches(false);
  while (offset_ < stream_.size()) {
    arena_.reset();
    is_joined_ = false;
    Span span;
    if (const Fault fault = take_span(span); fault.status != NNR_OK) return fault;
    if (deadline_.is_over())
      return {NNR_LIMIT, NNR_STAGE_FRAMING, 8 * span.begin, "", "", "the stream takes longer than max_seconds"};
    if (parts_open_ || (span.is_part() && span.type < NNR_AGG)) {
      bool is_last = false;
      if (const Fault fault = take_part(span, is_last); fault.status != NNR_OK) return fault;
      if (!is_last) continue;
      index_ = first_part_index_;
      if (const Fault fault = join_parts(span); fault.status != NNR_OK) return fault;
    }
    bool is_data = false;
    if (const Fault fault = take_unit(span, is_data); fault.status != NNR_OK) return in_stream(fault);
    if (is_data) return {};
  }
  if (!is_complete_) return wait_for_more();
  if (base_ == 0 && stream_.empty()) return empty_stream();
  if (parts_open_) {
    const std::uint64_t end = 8 * std::uint64_t{stream_.size()};
    return framing_fault(NNR_TRUNCATED, end, ElementId::partial_data_counter, "the stream ends before the last part of a unit");
  }
  if (const Fault fault = source_.finish(); fault.status != NNR_OK) return placed(fault);
  Fault end;
  end.status = NNR_END;
  return end;
}

Fault StreamDecoder::take_unit(const Span& span, bool& is_data) {
  if (const Fault fault = check_order(span); fault.status != NNR_OK) return fault;
  if (const Fault fault = parse(span); fault.status != NNR_OK) return fault;
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
      return take_topology(span, is_data);
    case NNR_QNT: {
      if (unit_.nnr_quantization_unit_header.quantization_compression_format == 0) return {};
      const Bytes content = unit_.nnr_quantization_unit_payload.quantization_data;
      const InflateResult result = inflate_content(content, limits_.max_topology_bytes, options_.allocator, nullptr);
      if (result.status == NNR_OK) return {};
      return fault_at(span, {result.status, {ElementId::quantization_data, 0}, "", "format 2", result.text}, NNR_STAGE_HEADER);
    }
    case NNR_AGG:
      return framing_fault(NNR_UNSUPPORTED, 8 * span.begin, ElementId::nnr_unit_type, "aggregate units are not decoded");
    case NNR_NDU:
      is_data = true;
      return take_data_unit(span);
    default:
      return {};  // reserved and unspecified types are skipped by their size
  }
}

bool StreamDecoder::keep_names(std::span<const Bytes> names) {
  if (names.empty()) return true;
  std::uint64_t n_bytes = 0;
  for (const Bytes name : names) n_bytes += name.size() + 1;
  if (!name_bytes_.allocate(options_.allocator, n_bytes) || !names_.allocate(options_.allocator, names.size())) return false;
  std::uint8_t* to = name_bytes_.data();
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::copy(names[i].begin(), names[i].end(), to);
    names_[i] = {to, names[i].size()};
    to += names[i].size();
    *to++ = 0;
  }
  return true;
}

bool StreamDecoder::resolve_names() {
  const NnrCompressedDataUnitHeader& header = unit_.nnr_compressed_data_unit_header;
  const TopologyElementsIdsList& list = header.topology_elements_ids_list;
  if (header.has_topology_elements_ids_list && !list.topology_elem_id_list.empty()) {
    data_.names = list.topology_elem_id_list;
    return true;
  }
  const std::size_t count = header.has_topology_elements_ids_list ? list.topology_elem_id_index_list.size() : 1;
  auto* const names = arena_.make<Bytes>(count);
  if (names == nullptr) return false;
  data_.names = {names, count};
  if (header.has_topology_elem_id) {
    names[0] = header.topology_elem_id;
    return true;
  }
  // The parser has checked the indices.
  for (std::size_t i = 0; i < count; ++i)
    names[i] =
        names_[header.has_topology_elements_ids_list ? list.topology_elem_id_index_list[i] : header.topology_elem_id_index];
  return true;
}

Fault StreamDecoder::payload_fault(const Problem& problem, nnr_stage stage) const {
  return {problem.status, stage, 8 * (span_.end - payload_.size()), problem.element, problem.clause, problem.text};
}

Fault StreamDecoder::ask_for_shape() {
  constexpr std::size_t kMost = 64;
  auto* const shape = arena_.make<std::uint64_t>(kMost);
  if (shape == nullptr) return out_of_memory();
  const int count = options_.shape_source == nullptr
                        ? -1
                        : options_.shape_source(options_.shape_source_opaque,
                                                reinterpret_cast<const char*>(data_.names[0].data()), shape, kMost);
  if (count < 0 || static_cast<std::size_t>(count) > kMost)
    return payload_fault(
        {NNR_MALFORMED, {}, "tensor_dimensions", "format 3", "neither the stream nor the caller gives the dimensions"},
        NNR_STAGE_HEADER);
  data_.shape = {shape, static_cast<std::size_t>(count)};
  std::uint64_t n_elements = 1;
  for (const std::uint64_t dimension : data_.shape) n_elements = saturating_product(n_elements, dimension);
  if (n_elements <= limits_.max_tensor_elements) return {};
  return payload_fault({NNR_LIMIT, {}, "tensor_dimensions", "format 3", "the tensor has more than max_tensor_elements elements"},
                       NNR_STAGE_HEADER);
}

Fault StreamDecoder::take_data_unit(const Span& span) {
  span_ = span;
  payload_ = unit_.nnr_compressed_data_unit_payload.nnr_compressed_data_unit_payload;
  Problem problem = read_header(unit_.nnr_compressed_data_unit_header, limits_, arena_, data_);
  if (!problem.ok()) return fault_at(span, problem, NNR_STAGE_HEADER);
  state_.total_elements = saturating_sum(state_.total_elements, data_.n_elements);
  if (state_.total_elements > limits_.max_total_elements)
    return payload_fault(
        {NNR_LIMIT, {}, "nnr_compressed_data_unit_payload", "format 3", "the tensors have more than max_total_elements elements"},
        NNR_STAGE_HEADER);
  const std::uint64_t allowed =
      std::max(limits_.expansion_floor_bytes, saturating_product(limits_.max_expansion_ratio, base_ + stream_.size()));
  if (saturating_product(4, state_.total_elements) > allowed)
    return fault_at(
        span, {NNR_LIMIT, {ElementId::tensor_dimensions, 0}, "", "format 3", "the stream expands beyond max_expansion_ratio"},
        NNR_STAGE_HEADER);
  state_.data_seen = true;
  if (!resolve_names()) return out_of_memory();
  if (const Fault fault = use_full_names(span); fault.status != NNR_OK) return fault;
  if (!unit_.nnr_compressed_data_unit_header.has_tensor_dimensions)
    if (const Fault fault = ask_for_shape(); fault.status != NNR_OK) return fault;
  problem = plan_tensors(data_, arena_);
  if (!problem.ok()) return payload_fault(problem, NNR_STAGE_HEADER);
  previous_ = {};
  if (state_.parent_signalling && !headers_only_)
    if (const Fault fault = find_parent(); fault.status != NNR_OK) return fault;
  if (!describe_tensors()) return out_of_memory();
  if (const Fault fault = use_source_types(); fault.status != NNR_OK) return fault;
  can_read_ = true;
  return {};
}

Fault StreamDecoder::find_parent() {
  const Problem problem = updates_.find_parent(data_, previous_);
  if (!problem.ok()) return fault_at(span_, problem, NNR_STAGE_SEQUENCE);
  if (previous_.empty()) return {};
  const bool alike = std::ranges::equal(previous_, data_.tensors, [](const RememberedTensor& before, const TensorPlan& tensor) {
    return std::ranges::equal(before.shape, tensor.shape);
  });
  if (alike) return {};
  return payload_fault({NNR_MALFORMED, {}, "tensor_dimensions", "format 5.6", "the previous update has other shapes"},
                       NNR_STAGE_SEQUENCE);
}

bool StreamDecoder::describe_tensors() {
  auto* const tensors = arena_.make<nnr_tensor>(data_.tensors.size());
  if (tensors == nullptr) return false;
  const std::uint32_t type = data_.header->nnr_compressed_data_unit_payload_type;
  for (const TensorPlan& plan : data_.tensors) {
    nnr_tensor& tensor = tensors[plan.name_index];
    const Bytes name = data_.names[plan.name_index];
    tensor = {};
    tensor.name = reinterpret_cast<const char*>(name.data());
    tensor.name_bytes = name.size();
    tensor.shape = plan.shape.data();
    tensor.n_dimensions = plan.shape.size();
    tensor.n_elements = plan.n_elements;
    tensor.type = type == NNR_PT_INT ? NNR_INT32 : NNR_FLOAT32;
    tensor.coding = type == NNR_PT_INT             ? NNR_CODING_INTEGER
                    : type == NNR_PT_RAW_FLOAT     ? NNR_CODING_RAW
                    : plan.codebook.values.empty() ? NNR_CODING_UNIFORM
                                                   : NNR_CODING_CODEBOOK;
    tensor.step_size = 1.0;
    tensor.unit = index_;
    tensor.role = static_cast<nnr_role>(plan.role);
    if (plan.role == Role::kG || plan.role == Role::kH) {
      tensor.weight_shape = data_.shape.data();
      tensor.n_weight_dimensions = data_.shape.size();
    }
    if (tensor.coding == NNR_CODING_CODEBOOK) {
      tensor.codebook = plan.codebook.values.data();
      tensor.codebook_size = plan.codebook.values.size();
      tensor.codebook_zero = plan.codebook.zero;
    }
  }
  tensors_ = {tensors, data_.tensors.size()};
  return true;
}

}  // namespace nnr
