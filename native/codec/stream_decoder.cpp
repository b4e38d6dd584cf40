// SPDX-License-Identifier: Apache-2.0
#include "stream_decoder.hpp"

#include "faults.hpp"
#include "nnr/dequantizer.hpp"
#include "split_unit.hpp"

namespace nnr {

using namespace syntax;

StreamDecoder::StreamDecoder(const nnr_options& options)
    : options_(options),
      arena_(options.allocator),
      walk_(options),
      updates_(options.allocator, options.limits.max_updates_kept),
      types_(options.allocator),
      source_(options.limits, options.allocator, types_) {
  walk_.leave_topologies();
}

void StreamDecoder::begin_stream() {
  forget_unit();
  headers_only_ = false;
  source_.clear();
  deadline_.start(options_.max_seconds);
}

void StreamDecoder::forget_unit() {
  can_read_ = false;
  tensors_ = {};
  carried_ = nullptr;
}

Fault StreamDecoder::open(std::span<const std::uint8_t> stream) {
  begin_stream();
  return walk_.open(stream);
}

Fault StreamDecoder::open_for_pushing() {
  begin_stream();
  return walk_.open_for_pushing();
}

Fault StreamDecoder::push(std::span<const std::uint8_t> octets) {
  if (const Fault fault = read_for_updates(); fault.status != NNR_OK) return fault;
  forget_unit();
  return walk_.push(octets);
}

Fault StreamDecoder::read_for_updates() {
  return can_read_ && carried_ == nullptr && keeps_updates() ? read(NNR_LEVELS, nullptr) : Fault{};
}

Fault StreamDecoder::in_stream(Fault fault) const {
  fault = walk_.in_stream(unit_.coded, fault);
  fault.bit_offset += 8 * walk_.base();
  return fault;
}

Fault StreamDecoder::next() {
  if (const Fault fault = read_for_updates(); fault.status != NNR_OK) return fault;
  forget_unit();
  source_.drop_patches(false);
  for (;;) {
    arena_.reset();
    unit_ = {};
    const Fault fault = walk_.next(arena_, unit_);
    if (fault.status == NNR_END)
      if (const Fault unfinished = source_.finish(); unfinished.status != NNR_OK) return unfinished;
    if (fault.status != NNR_OK) return fault;
    if (deadline_.is_over())
      return {NNR_LIMIT, NNR_STAGE_FRAMING, 8 * unit_.begin, "", "", "the stream takes longer than max_seconds"};
    if (unit_.type == NNR_NDU) return take_data_unit();
    bool is_tensor = false;
    if (unit_.has_topology)
      if (const Fault wrong = take_topology(is_tensor); wrong.status != NNR_OK) return wrong;
    if (is_tensor) return {};
  }
}

Fault StreamDecoder::take_data_unit() {
  previous_ = {};
  if (keeps_updates()) {
    Fault fault;
    const Problem problem = updates_.find_parent(unit_.coded.data, previous_);
    if (!problem.ok()) fault = walk_.fault_at(unit_.coded, problem, NNR_STAGE_SEQUENCE);
    if (problem.ok()) fault = check_shapes(unit_.coded, previous_);
    if (fault.status != NNR_OK) return in_stream(fault);
  }
  if (!describe_tensors()) return out_of_memory();
  if (const Fault fault = use_source_types(); fault.status != NNR_OK) return in_stream(fault);
  // Without what earlier updates left, the payload of an update cannot be decoded.
  can_read_ = !headers_only_ || !walk_.state().parent_signalling;
  return {};
}

bool StreamDecoder::describe_tensors() {
  const DataUnit& data = unit_.coded.data;
  auto* const tensors = arena_.make<nnr_tensor>(data.tensors.size());
  if (tensors == nullptr) return false;
  for (const TensorPlan& plan : data.tensors) {
    nnr_tensor& tensor = tensors[plan.name_index];
    const Bytes name = data.names[plan.name_index];
    tensor = {};
    tensor.name = reinterpret_cast<const char*>(name.data());
    tensor.name_bytes = name.size();
    tensor.shape = plan.shape.data();
    tensor.n_dimensions = plan.shape.size();
    tensor.n_elements = plan.n_elements;
    tensor.type = unit_.coded.is_integer() ? NNR_INT32 : NNR_FLOAT32;
    tensor.coding = unit_.coded.is_integer()       ? NNR_CODING_INTEGER
                    : unit_.coded.is_raw()         ? NNR_CODING_RAW
                    : plan.codebook.values.empty() ? NNR_CODING_UNIFORM
                                                   : NNR_CODING_CODEBOOK;
    tensor.step_size = 1.0;
    tensor.unit = unit_.index;
    tensor.role = static_cast<nnr_role>(plan.role);
    if (plan.role == Role::kG || plan.role == Role::kH) {
      tensor.weight_shape = data.shape.data();
      tensor.n_weight_dimensions = data.shape.size();
    }
    if (tensor.coding == NNR_CODING_CODEBOOK) {
      tensor.codebook = plan.codebook.values.data();
      tensor.codebook_size = plan.codebook.values.size();
      tensor.codebook_zero = plan.codebook.zero;
    }
  }
  tensors_ = {tensors, data.tensors.size()};
  return true;
}

Fault StreamDecoder::read(nnr_content content, void* const* buffers) {
  can_read_ = false;
  if (carried_ != nullptr) {
    read_carried(buffers);
    return {};
  }
  return content == NNR_VALUES && buffers != nullptr ? read_values(buffers) : in_stream(read_coded(content, buffers));
}

Fault StreamDecoder::read_coded(nnr_content content, void* const* buffers) {
  return unit_.coded.is_raw() ? read_raw_values(unit_.coded, buffers == nullptr ? nullptr : buffers[0])
                              : read_codeword(content, buffers);
}

bool StreamDecoder::decode_pieces(std::int32_t* levels, bool dequantizes, std::int32_t& qp, Fault& fault) {
  if (team_ == nullptr || !previous_.empty()) return false;
  SplitUnit unit(unit_.coded, options_.allocator);
  if (unit.count() == 0) return false;
  team_->run(unit.count(), [&](std::size_t piece) { unit.decode(piece, levels, dequantizes); });
  if (!unit.is_verified()) return false;
  qp = unit.qp();
  fault = unit.finish(levels, dequantizes);
  return true;
}

Fault StreamDecoder::read_codeword(nnr_content content, void* const* buffers) {
  const CodedUnit& unit = unit_.coded;
  const std::size_t count = unit.data.tensors.size();
  std::int32_t* levels[kMaxTensors];
  std::int32_t qp_values[kMaxTensors];
  // Levels that the caller does not take.
  Buffer<std::int32_t> scratch[kMaxTensors];
  for (std::size_t i = 0; i < count; ++i) {
    const TensorPlan& plan = unit.data.tensors[i];
    levels[i] = buffers == nullptr ? nullptr : static_cast<std::int32_t*>(buffers[plan.name_index]);
    if (levels[i] != nullptr) continue;
    if (!scratch[i].allocate(options_.allocator, plan.n_elements)) return out_of_memory();
    levels[i] = scratch[i].data();
  }
  const auto are_values = [&](std::size_t i) {
    return content == NNR_VALUES && buffers != nullptr && buffers[unit.data.tensors[i].name_index] != nullptr;
  };
  // Later updates refer to levels.
  const bool dequantizes_pieces = are_values(0) && !keeps_updates();
  Fault fault;
  const bool in_pieces = decode_pieces(levels[0], dequantizes_pieces, qp_values[0], fault);
  if (!in_pieces) fault = decode_levels(unit, previous_, {levels, count}, {qp_values, count}, options_.allocator);
  if (fault.status != NNR_OK) return fault;
  if (keeps_updates() && !updates_.remember(unit.data, unit.payload, {levels, count}, previous_)) return out_of_memory();
  if (unit.is_integer()) return {};
  for (std::size_t i = 0; i < count; ++i) {
    const TensorPlan& plan = unit.data.tensors[i];
    nnr_tensor& tensor = tensors_[plan.name_index];
    tensor.qp = qp_values[i];
    tensor.qp_density = unit.quantisation.qp_density;
    tensor.step_size = step_size(tensor.qp, static_cast<int>(unit.quantisation.qp_density));
    if (are_values(i) && !(in_pieces && dequantizes_pieces))
      dequantize_levels(unit, i, qp_values[i], {levels[i], static_cast<std::size_t>(plan.n_elements)});
  }
  return {};
}

}  // namespace nnr
