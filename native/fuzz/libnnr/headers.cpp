// SPDX-License-Identifier: Apache-2.0
// Headers only: every description can be read to its end.
#include <cstdint>
#include <cstring>

#include "bounded_options.hpp"

namespace {
volatile std::uint64_t sink;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const nnr_options options = bounded_options(size);
  nnr_decoder* const decoder = nnr_decoder_create(&options);
  nnr_status status = nnr_decoder_open(decoder, bytes, size, nullptr);
  nnr_decoder_headers_only(decoder);
  while (status == NNR_OK && (status = nnr_decoder_next(decoder, nullptr)) == NNR_OK) {
    for (std::size_t i = 0; i < nnr_decoder_size(decoder); ++i) {
      const nnr_tensor& tensor = *nnr_decoder_tensor(decoder, i);
      std::uint64_t sum = std::strlen(tensor.name);
      for (std::size_t j = 0; j < tensor.n_dimensions; ++j) sum += tensor.shape[j];
      for (std::size_t j = 0; j < tensor.codebook_size; ++j) sum += static_cast<std::uint32_t>(tensor.codebook[j]);
      sink = sum;
    }
  }
  nnr_decoder_free(decoder);
  return 0;
}
