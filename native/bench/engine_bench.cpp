// SPDX-License-Identifier: Apache-2.0
// Throughput of the engines, one JSON object a line.
//
// Decoder: regular bins per second of whole tensors, beside two limits: a bare loop that decodes the same bins in the same
// contexts from a list, without making levels, and a loop that decodes two such codewords alternately. Encoder: time of its two
// passes over the same levels, the search for initialisations and the codeword.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <random>
#include <utility>
#include <vector>

#include "nnr/arithmetic_encoder.hpp"
#include "nnr/decoder_source.hpp"
#include "nnr/fast_engine.hpp"
#include "nnr/payload.hpp"
#include "nnr/quantizer.hpp"

namespace {

struct Bin {
  std::uint16_t context;
  bool value;
};

// The reference source, with a list of its regular bins.
class RecordingSource : public nnr::DecoderSource {
 public:
  using DecoderSource::DecoderSource;
  [[nodiscard]] bool regular(int context) {
    const bool value = DecoderSource::regular(context);
    bins.push_back({static_cast<std::uint16_t>(context), value});
    return value;
  }
  std::vector<Bin> bins;
};

template <class Work>
double seconds(Work&& work) {
  const std::clock_t start = std::clock();
  work();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// Laplacian weights as the codeword of one tensor, and the regular bins of that codeword alone as a second codeword.
struct Sample {
  nnr::TensorCoding coding;
  nnr::EncodedPayload encoded;
  std::vector<Bin> bins;
  std::vector<std::uint8_t> bare;
  bool ok = false;
};

constexpr std::size_t kSize = 500'000;

Sample make_sample(double scale, bool dependent, unsigned seed) {
  Sample sample;
  std::mt19937 random(seed);
  std::exponential_distribution<float> magnitude(static_cast<float>(1 / scale));
  std::vector<float> weights(kSize);
  for (float& w : weights) w = (random() & 1U) != 0 ? magnitude(random) : -magnitude(random);
  sample.coding.rows = kSize / 1000;
  sample.coding.width = 1000;
  sample.coding.unary_length = 11;
  sample.coding.dependent = dependent;
  std::vector<std::int32_t> levels(kSize);
  if (dependent)
    nnr::quantize_dependent(weights, 1.0, sample.coding, levels.data());
  else
    nnr::quantize_uniform(weights, 1.0, levels.data());
  const std::int32_t* input = levels.data();
  const nnr::TensorChoices choices;
  if (!nnr::encode_payload({&sample.coding, 1}, {&input, 1}, {&choices, 1}, sample.encoded).ok()) return sample;

  RecordingSource recorder{nnr::ArithmeticDecoder(sample.encoded.bytes)};
  nnr::TensorSideData side;
  sample.ok = nnr::TensorDecoder(recorder, sample.coding).decode(levels.data(), side) == nnr::Outcome::kOk;
  sample.bins = std::move(recorder.bins);
  nnr::ArithmeticEncoder encoder;
  std::vector<nnr::FastContext> contexts(nnr::ContextLayout::kMaxCount);
  for (const Bin& bin : sample.bins) encoder.encode(contexts[bin.context], bin.value);
  encoder.finish();
  sample.bare = encoder.bytes();
  return sample;
}

void measure(double scale, bool dependent) {
  const Sample sample = make_sample(scale, dependent, 1);
  // Interleaving takes a different codeword: the same one twice would train the branch predictor on its bins.
  const Sample other = make_sample(scale, dependent, 2);
  if (!sample.ok || !other.ok) return;
  const nnr::TensorCoding& coding = sample.coding;
  const nnr::EncodedPayload& encoded = sample.encoded;
  const std::vector<Bin>& bins = sample.bins;
  const std::size_t both = std::min(bins.size(), other.bins.size());
  std::vector<std::int32_t> levels(kSize);
  std::vector<double> interleaved;
  std::vector<double> bare;
  std::vector<double> decoder;
  std::vector<double> reference;
  std::vector<double> search;
  std::vector<double> encoder;
  std::size_t ones = 0;
  std::int32_t* output = levels.data();
  for (int round = 0; round < 15; ++round) {
    bare.push_back(seconds([&] {
      std::vector<nnr::FastContext> fresh(nnr::ContextLayout::kMaxCount);
      nnr::FastEngine engine(sample.bare);
      for (const Bin& bin : bins)
        if (engine.decode(fresh[bin.context])) ++ones;
    }));
    interleaved.push_back(seconds([&] {
      std::vector<nnr::FastContext> fresh(nnr::ContextLayout::kMaxCount);
      std::vector<nnr::FastContext> others(nnr::ContextLayout::kMaxCount);
      nnr::FastEngine first(sample.bare);
      nnr::FastEngine second(other.bare);
      for (std::size_t i = 0; i < both; ++i) {
        if (first.decode(fresh[bins[i].context])) ++ones;
        if (second.decode(others[other.bins[i].context])) ++ones;
      }
    }));
    nnr::Status status;
    nnr::TensorSideData side;
    decoder.push_back(seconds([&] { status = nnr::decode_payload(encoded.bytes, {&coding, 1}, {&output, 1}, {&side, 1}); }));
    nnr::TensorSideData reference_side;
    reference.push_back(seconds(
        [&] { status = nnr::decode_payload_reference(encoded.bytes, {&coding, 1}, {&output, 1}, {&reference_side, 1}); }));
    if (!status.ok()) return;
    const std::int32_t* input = levels.data();
    nnr::TensorChoices choices;
    nnr::EncodedPayload encoded_again;
    search.push_back(seconds([&] { status = nnr::search_initialisations(coding, input, 0, choices); }));
    if (!status.ok()) return;
    encoder.push_back(seconds([&] { status = nnr::encode_payload({&coding, 1}, {&input, 1}, {&choices, 1}, encoded_again); }));
    if (!status.ok()) return;
  }
  const auto count = static_cast<double>(bins.size());
  std::printf(
      "{\"bits_per_weight\": %.3f, \"dependent\": %s, \"bins_per_weight\": %.3f, \"bare_bins_per_second\": %.4g, "
      "\"interleaved_bins_per_second\": %.4g, \"decoder_bins_per_second\": %.4g, \"reference_bins_per_second\": %.4g, "
      "\"search_ns_per_weight\": %.1f, \"encoder_ns_per_weight\": %.1f, \"ones\": %zu}\n",
      8.0 * static_cast<double>(encoded.bytes.size()) / kSize, dependent ? "true" : "false", count / kSize, count / median(bare),
      2.0 * static_cast<double>(both) / median(interleaved), count / median(decoder), count / median(reference),
      1e9 * median(search) / kSize, 1e9 * median(encoder) / kSize, ones);
}

}  // namespace

int main() {
  for (const bool dependent : {false, true})
    for (const double scale : {14.0, 3.0, 0.75, 0.16}) measure(dependent ? 1.5 * scale : scale, dependent);
  return 0;
}
