// SPDX-License-Identifier: Apache-2.0
// Decodes one tensor by its name and no other: one_tensor FILE NAME
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nnr.hpp>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::ifstream file(argv[1], std::ios::binary);
  const std::vector<std::uint8_t> stream{std::istreambuf_iterator<char>(file), {}};
  nnr::Decoder decoder;
  nnr::Error error;
  nnr_status status = decoder.open(stream, error);
  while (status == NNR_OK && (status = decoder.next(error)) == NNR_OK) {
    std::vector<void*> buffers(decoder.size());
    for (std::size_t i = 0; i < decoder.size(); ++i) {
      if (decoder[i].name() != argv[2] || decoder[i].type() != NNR_FLOAT32) continue;
      std::vector<float> values(static_cast<std::size_t>(decoder[i].size()));
      buffers[i] = values.data();
      if (decoder.read(buffers, error) != NNR_OK) return 1;
      for (const float value : values) std::printf("%.9g\n", static_cast<double>(value));
      return 0;
    }
  }
  return status == NNR_END ? 3 : 1;
}
