// SPDX-License-Identifier: Apache-2.0
// A sequence of streams, once whole and once in pieces: the same verdicts at the same places.
//
// The first byte is the size of the pieces, and 0xFF 0x00 separates streams, which no unit that is shorter than 32 kB starts
// with.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "bounded_options.hpp"

namespace {

struct Verdict {
  nnr_status status;
  std::uint64_t bit_offset;
  std::uint64_t n_elements;
};

nnr_status read_units(nnr_decoder* decoder, Verdict& verdict, nnr_error* error) {
  nnr_status status;
  while ((status = nnr_decoder_next(decoder, error)) == NNR_OK) {
    std::vector<std::vector<double>> values(nnr_decoder_size(decoder));
    std::vector<void*> buffers;
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i].resize(static_cast<std::size_t>(nnr_decoder_tensor(decoder, i)->n_bytes) / sizeof(double) + 1);
      // One tensor of three is not taken.
      buffers.push_back(verdict.n_elements % 3 == 2 ? nullptr : values[i].data());
      verdict.n_elements += values[i].size();
    }
    status = nnr_decoder_read(decoder, NNR_VALUES, buffers.data(), error);
    if (status != NNR_OK) break;
  }
  return status;
}

Verdict decode(const std::vector<std::vector<std::uint8_t>>& streams, std::size_t piece, std::size_t choice) {
  const nnr_options options = bounded_options(choice);
  nnr_decoder* const decoder = nnr_decoder_create(&options);
  Verdict verdict = {NNR_END, 0, 0};
  nnr_error error = {};
  for (const std::vector<std::uint8_t>& stream : streams) {
    if (piece == 0) {
      verdict.status = nnr_decoder_open(decoder, stream.data(), stream.size(), &error);
      if (verdict.status == NNR_OK) verdict.status = read_units(decoder, verdict, &error);
    } else {
      verdict.status = nnr_decoder_open_for_pushing(decoder, &error);
      for (std::size_t at = 0; at < stream.size() && (verdict.status == NNR_OK || verdict.status == NNR_MORE); at += piece) {
        const std::size_t size = stream.size() - at < piece ? stream.size() - at : piece;
        // A copy of its own, so that reads beyond it are seen.
        const std::vector<std::uint8_t> copy(stream.begin() + static_cast<std::ptrdiff_t>(at),
                                             stream.begin() + static_cast<std::ptrdiff_t>(at + size));
        verdict.status = nnr_decoder_push(decoder, copy.data(), copy.size(), &error);
        if (verdict.status == NNR_OK) verdict.status = read_units(decoder, verdict, &error);
      }
      if (verdict.status == NNR_OK || verdict.status == NNR_MORE) {
        nnr_decoder_finish(decoder);
        verdict.status = read_units(decoder, verdict, &error);
      }
    }
    if (verdict.status != NNR_END) {
      verdict.bit_offset = error.bit_offset;
      break;
    }
  }
  nnr_decoder_free(decoder);
  return verdict;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  std::vector<std::vector<std::uint8_t>> streams(1);
  for (std::size_t i = 1; i < size; ++i) {
    if (bytes[i] == 0xFF && i + 1 < size && bytes[i + 1] == 0 && streams.size() < 4) {
      streams.emplace_back();
      ++i;
    } else {
      streams.back().push_back(bytes[i]);
    }
  }
  const Verdict whole = decode(streams, 0, bytes[0]), pieces = decode(streams, std::size_t{bytes[0]} + 1, bytes[0]);
  if (whole.status != pieces.status || whole.bit_offset != pieces.bit_offset) std::abort();
  if (whole.status == NNR_END && whole.n_elements != pieces.n_elements) std::abort();
  return 0;
}
