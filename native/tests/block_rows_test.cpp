// SPDX-License-Identifier: Apache-2.0
// Comparison of decoding from entry points, in pieces, with the encoded levels; and detection of wrong entry points.
#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "expect.hpp"
#include "nnr/block_rows.hpp"
#include "nnr/payload.hpp"
#include "nnr/quantizer.hpp"

namespace {

using test::expect;

struct Sample {
  nnr::TensorCoding coding;
  std::vector<std::int32_t> levels;
  std::vector<std::uint8_t> payload;
  std::vector<nnr::BlockRowStart> points;
};

Sample make_sample(std::uint64_t rows, std::uint64_t width, int scan_order, bool dependent, bool codebook) {
  Sample sample;
  sample.coding = {.rows = rows, .width = width, .scan_order = scan_order, .dependent = dependent, .qp_bits = codebook ? 0 : 8};
  if (codebook) sample.coding.codebook_size = 33;
  if (codebook) sample.coding.codebook_zero = 16;
  std::mt19937 random(static_cast<unsigned>(rows + width));
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> weights(sample.coding.size());
  for (float& weight : weights) weight = std::clamp(normal(random), -8.0F, 8.0F);
  std::fill_n(weights.begin(), width, 0.0F);  // a row to skip
  sample.levels.resize(weights.size());
  if (dependent)
    nnr::quantize_dependent(weights, 1.0, sample.coding, sample.levels.data());
  else
    nnr::quantize_uniform(weights, 1.0, sample.levels.data());
  const std::int32_t* input = sample.levels.data();
  nnr::EncodedPayload encoded;
  nnr::TensorChoices choices;
  choices.row_skip_flags = nnr::find_zero_rows(sample.coding, input);
  expect(nnr::search_initialisations(sample.coding, input, 0, choices).ok(), "the search", 0);
  expect(nnr::encode_payload({&sample.coding, 1}, {&input, 1}, {&choices, 1}, encoded).ok(), "encoding", 0);
  sample.payload = encoded.bytes;
  const std::vector<nnr::BlockRowStart>& starts = encoded.block_row_starts[0];
  for (std::size_t i = 1; i < starts.size(); ++i)
    sample.points.push_back({starts[i].position - starts[0].position, starts[i].offset, starts[i].state});
  return sample;
}

// Decodes the pieces from the last to the first. Returns whether all were verified.
bool decode(const Sample& sample, const std::vector<nnr::BlockRowStart>& points, std::vector<std::int32_t>& levels,
            std::uint64_t piece_levels = 100) {
  nnr::BlockRows rows(sample.payload, sample.coding, points, nnr::kHeap, piece_levels);
  for (std::size_t row = rows.count(); row-- > 0;) rows.decode(row, levels.data());
  return rows.all_verified();
}

void test_sample(const Sample& sample) {
  std::vector<std::int32_t> levels(sample.levels.size());
  expect(sample.points.empty() || decode(sample, sample.points, levels), "rows verified", sample.points.size());
  expect(sample.points.empty() || levels == sample.levels, "levels", sample.points.size());
  for (const std::uint64_t piece_levels : {std::uint64_t{1}, std::uint64_t{5000}}) {
    std::fill(levels.begin(), levels.end(), -1);
    expect(sample.points.empty() || decode(sample, sample.points, levels, piece_levels), "pieces of another size", piece_levels);
    expect(sample.points.empty() || levels == sample.levels, "levels in pieces", piece_levels);
  }
  // One fault in one entry point.
  std::mt19937 random(5);
  for (std::size_t i = 0; i < sample.points.size(); ++i)
    for (int what = 0; what < 3; ++what) {
      std::vector<nnr::BlockRowStart> wrong = sample.points;
      if (what == 0) wrong[i].position += random() % 2 != 0 ? std::uint64_t{1} << random() % 63 : 0 - std::uint64_t{random()};
      if (what == 1) wrong[i].offset ^= 1U << random() % 9;
      if (what == 2) wrong[i].state ^= 1 << random() % 4;
      expect(!decode(sample, wrong, levels), "detection of a wrong entry point", i);
    }
  if (!sample.points.empty()) {
    std::vector<nnr::BlockRowStart> few = sample.points;
    few.pop_back();
    expect(!decode(sample, few, levels), "too few entry points", few.size());
  }
}

// No encoder starts a codeword with an offset of 510 or 511, and decoders reject it.
void test_offset_out_of_range() {
  Sample sample = make_sample(40, 9, 1, false, false);
  for (const std::uint8_t second : {std::uint8_t{0x00}, std::uint8_t{0x80}}) {
    sample.payload[0] = 0xFF;
    sample.payload[1] = second;
    std::vector<std::int32_t> levels(sample.levels.size());
    expect(!decode(sample, sample.points, levels), "an offset out of range", second);
  }
}

}  // namespace

int main() {
  for (const bool dependent : {false, true})
    for (int scan_order = 1; scan_order <= 4; ++scan_order)
      for (const std::uint64_t rows : {2U, 8U, 9U, 64U, 131U})
        for (const std::uint64_t width : {2U, 7U, 64U, 100U})
          for (const bool codebook : {false, true}) test_sample(make_sample(rows, width, scan_order, dependent, codebook));
  test_offset_out_of_range();
  return test::report("block rows");
}
