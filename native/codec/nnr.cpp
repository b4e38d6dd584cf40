// SPDX-License-Identifier: Apache-2.0
// The C interface.
#include "nnr.h"

#include <algorithm>
#include <cstring>

#include "model_decoder.hpp"
#include "stream_decoder.hpp"

namespace {

// A caller of an earlier version has a shorter struct. False for options that no initialiser made.
bool complete(const nnr_options* options, nnr_options& all) {
  all = nnr_default_options();
  if (options == nullptr) return true;
  if (options->struct_bytes < sizeof options->struct_bytes) return false;
  std::memcpy(&all, options, std::min(options->struct_bytes, sizeof all));
  all.struct_bytes = sizeof all;
  return all.allocator.allocate != nullptr && all.allocator.release != nullptr;
}

nnr_status report(const nnr::Fault& fault, std::uint64_t unit, nnr_error* error) {
  if (error != nullptr) *error = {fault.status, fault.stage, fault.bit_offset, unit, fault.element, fault.clause, fault.text};
  return fault.status;
}

nnr_status refuse(nnr_status status, const char* text, nnr_error* error) {
  nnr::Fault fault;
  fault.status = status;
  fault.text = text;
  return report(fault, 0, error);
}

}  // namespace

struct nnr_decoder {
  explicit nnr_decoder(const nnr_options& all) : options(all), stream(options) {}

  nnr_options options;
  nnr::StreamDecoder stream;
  bool is_open = false;
  bool is_pushed = false;  // more bytes may be pushed
};

extern "C" {

uint32_t nnr_version(void) { return NNR_VERSION_NUMBER; }

const char* nnr_status_name(nnr_status status) {
  static constexpr const char* kNames[] = {"ok",    "end",    "truncated", "malformed", "unsupported",
                                           "limit", "memory", "argument",  "more"};
  return status >= NNR_OK && status <= NNR_MORE ? kNames[status] : "unknown";
}

const char* nnr_stage_name(nnr_stage stage) {
  static constexpr const char* kNames[] = {"none", "framing", "header", "payload", "reconstruction", "sequence"};
  return stage >= NNR_STAGE_NONE && stage <= NNR_STAGE_SEQUENCE ? kNames[stage] : "unknown";
}

nnr_limits nnr_default_limits(void) {
  nnr_limits limits = {};
  limits.max_stream_bytes = UINT64_C(1) << 40;
  limits.max_units = UINT64_C(1) << 19;
  limits.max_unit_bytes = (UINT64_C(1) << 31) - 1;
  limits.max_tensor_elements = UINT64_C(1) << 35;
  limits.max_total_elements = UINT64_C(1) << 38;
  limits.max_dimensions = 32;
  limits.max_names = UINT64_C(1) << 19;
  limits.max_name_bytes = UINT64_C(1) << 12;
  limits.max_codebook_size = UINT64_C(1) << 16;
  limits.max_topology_bytes = UINT64_C(1) << 24;
  limits.max_expansion_ratio = UINT64_C(1) << 20;
  limits.expansion_floor_bytes = UINT64_C(1) << 28;
  limits.max_updates_kept = 8;
  return limits;
}

nnr_options nnr_default_options(void) {
  nnr_options options = {};
  options.struct_bytes = sizeof options;
  options.limits = nnr_default_limits();
  options.allocator = nnr::kHeap;
  return options;
}

nnr_decoder* nnr_decoder_create(const nnr_options* options) {
  nnr_options all;
  return complete(options, all) ? nnr::create<nnr_decoder>(all) : nullptr;
}

void nnr_decoder_free(nnr_decoder* decoder) { nnr::destroy(decoder); }

nnr_status nnr_decoder_open(nnr_decoder* decoder, const void* stream, size_t stream_bytes, nnr_error* error) {
  if (decoder == nullptr || (stream == nullptr && stream_bytes > 0))
    return refuse(NNR_ARGUMENT, "no decoder or no stream", error);
  const nnr::Fault fault = decoder->stream.open({static_cast<const std::uint8_t*>(stream), stream_bytes});
  decoder->is_open = fault.status == NNR_OK;
  decoder->is_pushed = false;
  return report(fault, 0, error);
}

nnr_status nnr_decoder_open_for_pushing(nnr_decoder* decoder, nnr_error* error) {
  if (decoder == nullptr) return refuse(NNR_ARGUMENT, "no decoder", error);
  const nnr::Fault fault = decoder->stream.open_for_pushing();
  decoder->is_open = decoder->is_pushed = fault.status == NNR_OK;
  return report(fault, 0, error);
}

nnr_status nnr_decoder_push(nnr_decoder* decoder, const void* bytes, size_t n_bytes, nnr_error* error) {
  if (decoder == nullptr || !decoder->is_open || !decoder->is_pushed || (bytes == nullptr && n_bytes > 0))
    return refuse(NNR_ARGUMENT, "no stream is open for pushing, or no bytes", error);
  const nnr::Fault fault = decoder->stream.push({static_cast<const std::uint8_t*>(bytes), n_bytes});
  decoder->is_open = fault.status == NNR_OK;
  return report(fault, decoder->stream.unit_index(), error);
}

void nnr_decoder_finish(nnr_decoder* decoder) {
  if (decoder == nullptr) return;
  decoder->is_pushed = false;
  decoder->stream.finish_pushing();
}

nnr_status nnr_decoder_next(nnr_decoder* decoder, nnr_error* error) {
  if (decoder == nullptr || !decoder->is_open) return refuse(NNR_ARGUMENT, "no stream is open", error);
  const nnr::Fault fault = decoder->stream.next();
  decoder->is_open = fault.status == NNR_OK || fault.status == NNR_END || fault.status == NNR_MORE;
  return report(fault, decoder->stream.unit_index(), error);
}

void nnr_decoder_headers_only(nnr_decoder* decoder) {
  if (decoder != nullptr) decoder->stream.read_headers_only();
}

size_t nnr_decoder_size(const nnr_decoder* decoder) { return decoder == nullptr ? 0 : decoder->stream.tensors().size(); }

const nnr_tensor* nnr_decoder_tensor(const nnr_decoder* decoder, size_t index) {
  if (decoder == nullptr) return nullptr;
  const std::span<const nnr_tensor> tensors = decoder->stream.tensors();
  return index < tensors.size() ? &tensors[index] : nullptr;
}

nnr_status nnr_decoder_read(nnr_decoder* decoder, nnr_content content, void* const* buffers, nnr_error* error) {
  if (decoder == nullptr || !decoder->is_open || !decoder->stream.can_read())
    return refuse(NNR_ARGUMENT, "no unit is to be read", error);
  const nnr::Fault fault = decoder->stream.read(content, buffers);
  decoder->is_open = fault.status == NNR_OK;
  return report(fault, decoder->stream.unit_index(), error);
}

uint32_t nnr_decoder_profile(const nnr_decoder* decoder) { return decoder == nullptr ? 0 : decoder->stream.profile(); }

nnr_status nnr_decode(const void* stream, size_t stream_bytes, const nnr_options* options, nnr_model** model, nnr_error* error) {
  if (model != nullptr) *model = nullptr;
  if (model == nullptr || (stream == nullptr && stream_bytes > 0))
    return refuse(NNR_ARGUMENT, "no place for the model, or no stream", error);
  nnr_options all;
  if (!complete(options, all)) return refuse(NNR_ARGUMENT, "the options are not those of nnr_default_options()", error);
  nnr_model* const result = nnr::create<nnr_model>(all);
  if (result == nullptr) return refuse(NNR_MEMORY, "out of memory", error);
  const nnr::LocatedFault first = nnr::decode_model({static_cast<const std::uint8_t*>(stream), stream_bytes}, *result);
  if (first.fault.status != NNR_OK)
    nnr_model_free(result);
  else
    *model = result;
  return report(first.fault, first.unit, error);
}

size_t nnr_model_size(const nnr_model* model) { return model == nullptr ? 0 : model->tensors.size(); }

const nnr_tensor* nnr_model_tensor(const nnr_model* model, size_t index) {
  return index < nnr_model_size(model) ? &model->tensors[index] : nullptr;
}

const nnr_tensor* nnr_model_find(const nnr_model* model, const char* name) {
  if (model == nullptr || name == nullptr) return nullptr;
  const std::size_t place = model->find(name, std::strlen(name));
  return place == nnr::HashIndex::kAbsent ? nullptr : &model->tensors[place];
}

void nnr_model_free(nnr_model* model) { nnr::destroy(model); }

}  // extern "C"
