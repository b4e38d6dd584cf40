// SPDX-License-Identifier: Apache-2.0
// The one-call decode: any bytes give a model or an error with its place.
#include <cstdint>
#include <cstdlib>

#include "bounded_options.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const nnr_options options = bounded_options(size);
  nnr_model* model = nullptr;
  nnr_error error;
  const nnr_status status = nnr_decode(bytes, size, &options, &model, &error);
  if ((status == NNR_OK) != (model != nullptr) || status != error.status || error.bit_offset > 8 * size) std::abort();
  if (status == NNR_END || status == NNR_MORE || status == NNR_ARGUMENT) std::abort();
  nnr_model_free(model);
  return 0;
}
