// SPDX-License-Identifier: Apache-2.0
// The C interface.
#include "nnr.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "hash_index.hpp"
#include "stream_decoder.hpp"

namespace {

void* allocate_by_malloc(void*, std::size_t n_bytes) { return std::malloc(n_bytes); }
void release_by_free(void*, void* block) { std::free(block); }

// A caller of an earlier version has a shorter struct.
nnr_options complete(const nnr_options* options) {
  nnr_options all = nnr_default_options();
  if (options != nullptr) std::memcpy(&all, options, std::min(options->struct_bytes, sizeof all));
  all.struct_bytes = sizeof all;
  return all;
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

// An object in memory of the allocator that it holds a copy of.
template <class T>
T* create(const nnr_options& options) {
  void* const memory = options.allocator.allocate(options.allocator.opaque, sizeof(T));
  return memory == nullptr ? nullptr : new (memory) T(options);
}

template <class T>
void destroy(T* object) {
  if (object == nullptr) return;
  const nnr_allocator allocator = object->options.allocator;
  object->~T();
  allocator.release(allocator.opaque, object);
}

}  // namespace

struct nnr_decoder {
  explicit nnr_decoder(const nnr_options& all) : options(all), stream(options) {}

  nnr_options options;
  nnr::StreamDecoder stream;
  bool is_open = false;
  bool is_pushed = false;  // more bytes may be pushed
};

struct nnr_model {
  explicit nnr_model(const nnr_options& all) : options(all), arena(options.allocator) {}
  ~nnr_model() {
    for (const nnr_tensor& tensor : tensors) release_values(tensor);
  }

  void release_values(const nnr_tensor& tensor) const {
    options.allocator.release(options.allocator.opaque, const_cast<void*>(tensor.values));
  }

  // Copies a tensor's description and takes its values.
  [[nodiscard]] bool add(nnr_tensor tensor, void* values) {
    auto* const name = arena.make<char>(tensor.name_bytes + 1);
    auto* const shape = arena.make<std::uint64_t>(tensor.n_dimensions);
    auto* const codebook = arena.make<std::int32_t>(tensor.codebook_size);
    const std::size_t type_bytes = std::strlen(tensor.type_name) + 1;
    auto* const type_name = arena.make<char>(type_bytes);
    tensor.values = values;
    if (name == nullptr || shape == nullptr || codebook == nullptr || type_name == nullptr) {
      release_values(tensor);
      return false;
    }
    std::copy_n(tensor.name, tensor.name_bytes, name);
    std::copy_n(tensor.shape, tensor.n_dimensions, shape);
    if (tensor.codebook != nullptr) std::copy_n(tensor.codebook, tensor.codebook_size, codebook);
    std::copy_n(tensor.type_name, type_bytes, type_name);
    tensor.name = name;
    tensor.type_name = type_name;
    tensor.shape = shape;
    tensor.codebook = tensor.codebook == nullptr ? nullptr : codebook;
    const std::size_t place = find(name, tensor.name_bytes);
    if (place != nnr::HashIndex::kAbsent) {
      release_values(tensors[place]);
      tensors[place] = tensor;
      return true;
    }
    if (!tensors.append(options.allocator, tensor)) {
      release_values(tensor);
      return false;
    }
    const auto equal = [](std::size_t) { return false; };  // the name is new
    return index.set(options.allocator, index.hash(name, tensor.name_bytes), tensors.size() - 1, equal);
  }

  [[nodiscard]] std::size_t find(const char* name, std::size_t n_bytes) const {
    return index.find(index.hash(name, n_bytes), [&](std::size_t place) {
      return tensors[place].name_bytes == n_bytes && std::memcmp(tensors[place].name, name, n_bytes) == 0;
    });
  }

  nnr_options options;
  nnr::Arena arena;
  nnr::Buffer<nnr_tensor> tensors;
  nnr::HashIndex index;
};

namespace {

// Decodes the current unit into memory that the model takes over.
nnr_status read_into(nnr_model& model, nnr_decoder& decoder, nnr_error* error) {
  constexpr std::size_t kMost = 9;
  void* values[kMost] = {};
  const nnr_allocator& allocator = model.options.allocator;
  const std::size_t count = nnr_decoder_size(&decoder);
  nnr_status status = NNR_OK;
  for (std::size_t i = 0; i < count && status == NNR_OK; ++i) {
    const std::uint64_t n_bytes = nnr_decoder_tensor(&decoder, i)->n_bytes;
    if (n_bytes < SIZE_MAX / 2)
      values[i] = allocator.allocate(allocator.opaque, n_bytes == 0 ? 1 : static_cast<std::size_t>(n_bytes));
    if (values[i] == nullptr) status = refuse(NNR_MEMORY, "out of memory", error);
  }
  if (status == NNR_OK) status = nnr_decoder_read(&decoder, NNR_VALUES, values, error);
  for (std::size_t i = 0; i < count; ++i) {
    if (status == NNR_OK && !model.add(*nnr_decoder_tensor(&decoder, i), values[i])) {
      values[i] = nullptr;  // released by add
      status = refuse(NNR_MEMORY, "out of memory", error);
    } else if (status == NNR_OK) {
      values[i] = nullptr;
    }
    if (values[i] != nullptr) allocator.release(allocator.opaque, values[i]);
  }
  return status;
}

}  // namespace

extern "C" {

uint32_t nnr_version(void) { return NNR_VERSION_NUMBER; }

const char* nnr_status_name(nnr_status status) {
  static const char* const kNames[] = {"ok",    "end",    "truncated", "malformed", "unsupported",
                                       "limit", "memory", "argument",  "more"};
  return status >= NNR_OK && status <= NNR_MORE ? kNames[status] : "unknown";
}

const char* nnr_stage_name(nnr_stage stage) {
  static const char* const kNames[] = {"none", "framing", "header", "payload", "reconstruction", "sequence"};
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
  options.allocator = {allocate_by_malloc, release_by_free, nullptr};
  return options;
}

nnr_decoder* nnr_decoder_create(const nnr_options* options) { return create<nnr_decoder>(complete(options)); }

void nnr_decoder_free(nnr_decoder* decoder) { destroy(decoder); }

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
  decoder->is_open = decoder->is_pushed = true;
  return report(decoder->stream.open_for_pushing(), 0, error);
}

nnr_status nnr_decoder_push(nnr_decoder* decoder, const void* bytes, size_t n_bytes, nnr_error* error) {
  if (decoder == nullptr || !decoder->is_open || !decoder->is_pushed || (bytes == nullptr && n_bytes > 0))
    return refuse(NNR_ARGUMENT, "no stream is open for pushing, or no bytes", error);
  const nnr::Fault fault = decoder->stream.push({static_cast<const std::uint8_t*>(bytes), n_bytes});
  decoder->is_open = fault.status == NNR_OK;
  return report(fault, decoder->stream.unit_index(), error);
}

void nnr_decoder_finish(nnr_decoder* decoder) {
  decoder->is_pushed = false;
  decoder->stream.finish_pushing();
}

nnr_status nnr_decoder_next(nnr_decoder* decoder, nnr_error* error) {
  if (decoder == nullptr || !decoder->is_open) return refuse(NNR_ARGUMENT, "no stream is open", error);
  const nnr::Fault fault = decoder->stream.next();
  decoder->is_open = fault.status == NNR_OK || fault.status == NNR_END || fault.status == NNR_MORE;
  return report(fault, decoder->stream.unit_index(), error);
}

void nnr_decoder_headers_only(nnr_decoder* decoder) { decoder->stream.read_headers_only(); }

size_t nnr_decoder_size(const nnr_decoder* decoder) { return decoder->stream.tensors().size(); }

const nnr_tensor* nnr_decoder_tensor(const nnr_decoder* decoder, size_t index) {
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

uint32_t nnr_decoder_profile(const nnr_decoder* decoder) { return decoder->stream.profile(); }

nnr_status nnr_decode(const void* stream, size_t stream_bytes, const nnr_options* options, nnr_model** model, nnr_error* error) {
  if (model == nullptr) return refuse(NNR_ARGUMENT, "no place for the model", error);
  *model = nullptr;
  const nnr_options all = complete(options);
  nnr_decoder* const decoder = create<nnr_decoder>(all);
  nnr_model* const result = create<nnr_model>(all);
  nnr_status status = decoder == nullptr || result == nullptr ? refuse(NNR_MEMORY, "out of memory", error)
                                                              : nnr_decoder_open(decoder, stream, stream_bytes, error);
  while (status == NNR_OK) {
    status = nnr_decoder_next(decoder, error);
    if (status == NNR_OK) status = read_into(*result, *decoder, error);
  }
  nnr_decoder_free(decoder);
  if (status != NNR_END) {
    nnr_model_free(result);
    return status;
  }
  *model = result;
  return report({}, 0, error);
}

size_t nnr_model_size(const nnr_model* model) { return model->tensors.size(); }

const nnr_tensor* nnr_model_tensor(const nnr_model* model, size_t index) {
  return index < model->tensors.size() ? &model->tensors[index] : nullptr;
}

const nnr_tensor* nnr_model_find(const nnr_model* model, const char* name) {
  const std::size_t place = model->find(name, std::strlen(name));
  return place == nnr::HashIndex::kAbsent ? nullptr : &model->tensors[place];
}

void nnr_model_free(nnr_model* model) { destroy(model); }

}  // extern "C"
