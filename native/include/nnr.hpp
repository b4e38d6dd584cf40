// SPDX-License-Identifier: Apache-2.0
// C++20 face of nnr.h: owners, spans and a decoder that is walked unit by unit. It throws no exceptions.
//
//   nnr::Error error;
//   if (auto model = nnr::decode(stream, error)) use(model->find("conv.weight")->values());
//   else std::puts(error.text);
#pragma once

#include <nnr.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace nnr {

using Error = nnr_error;

// A view of one tensor; it lives as long as the object that gave it.
class Tensor {
 public:
  explicit Tensor(const nnr_tensor& tensor) : tensor_(&tensor) {}

  [[nodiscard]] std::string_view name() const { return {tensor_->name, tensor_->name_bytes}; }
  [[nodiscard]] std::span<const std::uint64_t> shape() const { return {tensor_->shape, tensor_->n_dimensions}; }
  [[nodiscard]] std::uint64_t size() const { return tensor_->n_elements; }
  [[nodiscard]] nnr_type type() const { return tensor_->type; }
  [[nodiscard]] std::string_view type_name() const { return tensor_->type_name; }
  [[nodiscard]] double step_size() const { return tensor_->step_size; }
  [[nodiscard]] std::span<const std::int32_t> codebook() const { return {tensor_->codebook, tensor_->codebook_size}; }

  // Values of a model's tensor; empty in a decoder, and of a tensor of the other type.
  [[nodiscard]] std::span<const float> values() const { return content<float>(NNR_FLOAT32); }
  [[nodiscard]] std::span<const std::int32_t> integers() const { return content<std::int32_t>(NNR_INT32); }

  // Bytes of a model's tensor of any type.
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(tensor_->values), static_cast<std::size_t>(tensor_->n_bytes)};
  }

  [[nodiscard]] const nnr_tensor& c() const { return *tensor_; }

 private:
  template <class T>
  [[nodiscard]] std::span<const T> content(nnr_type type) const {
    if (tensor_->values == nullptr || tensor_->type != type) return {};
    return {static_cast<const T*>(tensor_->values), static_cast<std::size_t>(tensor_->n_elements)};
  }

  const nnr_tensor* tensor_;
};

// All tensors of one stream.
class Model {
 public:
  explicit Model(nnr_model* model) : model_(model) {}

  [[nodiscard]] std::size_t size() const { return nnr_model_size(model_.get()); }
  [[nodiscard]] Tensor operator[](std::size_t index) const { return Tensor(*nnr_model_tensor(model_.get(), index)); }
  [[nodiscard]] std::optional<Tensor> find(const char* name) const {
    const nnr_tensor* const tensor = nnr_model_find(model_.get(), name);
    return tensor == nullptr ? std::nullopt : std::optional(Tensor(*tensor));
  }

 private:
  struct Free {
    void operator()(nnr_model* model) const { nnr_model_free(model); }
  };
  std::unique_ptr<nnr_model, Free> model_;
};

// Decodes a stream; nothing on failure, and `error` says why.
[[nodiscard]] inline std::optional<Model> decode(std::span<const std::uint8_t> stream, Error& error,
                                                 const nnr_options& options = nnr_default_options()) {
  nnr_model* model = nullptr;
  if (nnr_decode(stream.data(), stream.size(), &options, &model, &error) != NNR_OK) return std::nullopt;
  return Model(model);
}

// A sequence of streams, unit by unit.
class Decoder {
 public:
  explicit Decoder(const nnr_options& options = nnr_default_options()) : decoder_(nnr_decoder_create(&options)) {}

  // Whether there was memory for it.
  explicit operator bool() const { return decoder_ != nullptr; }

  // As in nnr.h. The stream must stay in place.
  [[nodiscard]] nnr_status open(std::span<const std::uint8_t> stream, Error& error) {
    return nnr_decoder_open(decoder_.get(), stream.data(), stream.size(), &error);
  }
  [[nodiscard]] nnr_status open_for_pushing(Error& error) { return nnr_decoder_open_for_pushing(decoder_.get(), &error); }
  [[nodiscard]] nnr_status push(std::span<const std::uint8_t> bytes, Error& error) {
    return nnr_decoder_push(decoder_.get(), bytes.data(), bytes.size(), &error);
  }
  void finish() { nnr_decoder_finish(decoder_.get()); }
  [[nodiscard]] nnr_status next(Error& error) { return nnr_decoder_next(decoder_.get(), &error); }
  void headers_only() { nnr_decoder_headers_only(decoder_.get()); }
  [[nodiscard]] std::size_t size() const { return nnr_decoder_size(decoder_.get()); }
  [[nodiscard]] Tensor operator[](std::size_t index) const { return Tensor(*nnr_decoder_tensor(decoder_.get(), index)); }

  // Decodes the current unit into one buffer for each of its tensors, null where the tensor is not wanted.
  [[nodiscard]] nnr_status read(std::span<void* const> buffers, Error& error, nnr_content content = NNR_VALUES) {
    return nnr_decoder_read(decoder_.get(), content, buffers.data(), &error);
  }

 private:
  struct Free {
    void operator()(nnr_decoder* decoder) const { nnr_decoder_free(decoder); }
  };
  std::unique_ptr<nnr_decoder, Free> decoder_;
};

}  // namespace nnr
