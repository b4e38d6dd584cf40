// SPDX-License-Identifier: Apache-2.0
// Any levels under any choices: either the encoder names a level it cannot code, or both decoders give all of them back; and
// the estimate of the rate is what the codeword took.
#include <algorithm>

#include "input.hpp"
#include "nnr/payload.hpp"
#include "nnr/rate_estimate.hpp"

namespace {

// Levels of all sizes: a byte below 128 is a small one, others announce as many bits as they say.
std::int32_t take_level(fuzz::Input& input) {
  const std::uint8_t head = input.byte();
  if (head < 96) return 0;
  if (head < 224) return static_cast<std::int32_t>(head) - 160;
  return input.word<std::int32_t>() >> (head & 31U);
}

// Zero out what dependent quantisation cannot reach, so that most inputs are coded.
void make_reachable(const nnr::TensorCoding& coding, std::vector<std::int32_t>& levels, const nnr::TensorChoices& choices) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    std::vector<const std::int32_t*> inputs{levels.data()};
    nnr::EncodedPayload encoded;
    const nnr::Status status = nnr::encode_payload({&coding, 1}, inputs, {&choices, 1}, encoded);
    if (status.ok()) return;
    fuzz::require(status.bit_position < levels.size(), "the level at fault is one of them");
    const std::int32_t level = levels[status.bit_position];
    levels[status.bit_position] = status.outcome == nnr::Outcome::kParityMismatch && level > INT32_MIN ? level - 1 : 0;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  fuzz::Input input(bytes, size);
  const fuzz::Tensor tensor = fuzz::take_tensor(input);
  const nnr::TensorCoding& coding = tensor.coding;
  const std::uint8_t wanted = input.byte();
  nnr::TensorChoices choices;
  if (coding.qp_bits > 0) {
    const int unused = 32 - coding.qp_bits;
    choices.qp_value = static_cast<std::int32_t>(static_cast<std::uint32_t>(input.byte() * 67U) << unused) >> unused;
  }
  choices.history_enabled = (wanted & 1) != 0 && coding.has_row_skip_flag() && coding.parent_present;
  std::vector<std::int32_t> levels(coding.size());
  for (std::int32_t& level : levels) {
    if (input.empty()) break;
    level = take_level(input);
    if (coding.codebook_size > 0) level = static_cast<std::int32_t>(level % coding.codebook_size);
  }
  if ((wanted & 8) == 0) make_reachable(coding, levels, choices);
  if ((wanted & 2) != 0) choices.row_skip_flags = nnr::find_zero_rows(coding, levels.data());
  // The search costs as much as all the rest: one input in four has one.
  if ((wanted & 0x14) == 0x14 && !nnr::search_initialisations(coding, levels.data(), choices).ok()) return 0;

  const std::int32_t* pointer = levels.data();
  nnr::EncodedPayload encoded;
  const nnr::Status status = nnr::encode_payload({&coding, 1}, {&pointer, 1}, {&choices, 1}, encoded);
  nnr::RateEstimate estimate;
  const nnr::Status estimated = nnr::estimate_rate(coding, levels.data(), choices, estimate);
  fuzz::require(status.outcome == estimated.outcome, "estimate and encoder agree on what can be coded");
  if (!status.ok()) {
    fuzz::require(status.bit_position < levels.size(), "the level at fault is one of them");
    return 0;
  }
  // Estimates are means over the range, bin by bin; block rows shorten it, and the end takes a terminating bin and padding.
  const double bits = static_cast<double>(estimate.total()) / nnr::kBypassCost;
  const double taken = 8.0 * static_cast<double>(encoded.bytes.size());
  const double slack = 32.0 + 2.0 * static_cast<double>(coding.block_rows()) + 0.2 * bits;
  fuzz::require(taken >= bits - slack && taken <= bits + slack, "the estimate is near what the codeword took");

  for (const auto decode : {nnr::decode_payload, nnr::decode_payload_reference}) {
    std::vector<std::int32_t> again(levels.size());
    std::int32_t* output = again.data();
    nnr::TensorSideData side;
    fuzz::require(decode(encoded.bytes, {&coding, 1}, {&output, 1}, {&side, 1}).ok(), "what was encoded decodes");
    fuzz::require(again == levels, "to the same levels");
    fuzz::require(side.qp_value == choices.qp_value && side.row_skip_flags == choices.row_skip_flags &&
                      side.history_enabled == choices.history_enabled,
                  "and the same choices");
    const auto& starts = encoded.block_row_starts[0];
    const auto same_start = [](const nnr::BlockRowStart& x, const nnr::BlockRowStart& y) {
      return x.position == y.position && x.offset == y.offset && x.state == y.state;
    };
    fuzz::require(
        std::equal(starts.begin(), starts.end(), side.block_row_starts.begin(), side.block_row_starts.end(), same_start),
        "block rows start where the encoder said");
  }
  return 0;
}
