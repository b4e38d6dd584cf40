// SPDX-License-Identifier: Apache-2.0
// The one-call decode: any bytes give a model or an error with its place, the same ones on two threads.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "bounded_options.hpp"

namespace {

bool agree(const nnr_model* a, const nnr_model* b) {
  if ((a == nullptr) != (b == nullptr)) return false;
  if (a == nullptr) return true;
  if (nnr_model_size(a) != nnr_model_size(b)) return false;
  for (std::size_t i = 0; i < nnr_model_size(a); ++i) {
    const nnr_tensor &x = *nnr_model_tensor(a, i), &y = *nnr_model_tensor(b, i);
    if (std::strcmp(x.name, y.name) != 0 || x.type != y.type || x.n_bytes != y.n_bytes) return false;
    if (x.n_bytes != 0 && std::memcmp(x.values, y.values, static_cast<std::size_t>(x.n_bytes)) != 0) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  nnr_options options = bounded_options(size);
  options.recompose = size / 2 % 2 == 0 ? 1 : 0;
  nnr_model* model = nullptr;
  nnr_error error;
  const nnr_status status = nnr_decode(bytes, size, &options, &model, &error);
  if ((status == NNR_OK) != (model != nullptr) || status != error.status || error.bit_offset > 8 * size) std::abort();
  if (status == NNR_END || status == NNR_MORE || status == NNR_ARGUMENT) std::abort();
  // Threads are slow to start under the sanitizers.
  if (size / 4 % 4 == 0) {
    nnr_model* other = nullptr;
    nnr_error other_error;
    options.threads = 2;
    const nnr_status other_status = nnr_decode(bytes, size, &options, &other, &other_error);
    if (other_status != status || other_error.bit_offset != error.bit_offset || !agree(model, other)) std::abort();
    nnr_model_free(other);
  }
  nnr_model_free(model);
  return 0;
}
