// SPDX-License-Identifier: Apache-2.0
// Fuzz target: any levels under any choices. Either the encoder names a level that it cannot code, or both decoders return all
// levels and choices. The rate estimate is close to the size of the codeword.
#include <algorithm>

#include "input.hpp"
#include "nnr/payload.hpp"
#include "nnr/rate_estimate.hpp"

namespace {

// Replaces levels that dependent quantisation does not have, so that most inputs are coded.
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
  const std::uint8_t flags = input.byte();
  nnr::TensorChoices choices;
  if (coding.qp_bits > 0) {
    const int unused = 32 - coding.qp_bits;
    choices.qp_value = static_cast<std::int32_t>(static_cast<std::uint32_t>(input.byte() * 67U) << unused) >> unused;
  }
  choices.history_enabled = (flags & 1) != 0 && coding.has_row_skip_flag() && coding.parent_present;
  std::vector<std::int32_t> levels(coding.size());
  for (std::int32_t& level : levels) {
    if (input.empty()) break;
    level = fuzz::take_level(input);
    if (coding.codebook_size > 0) level = static_cast<std::int32_t>(level % coding.codebook_size);
  }
  if ((flags & 8) == 0) make_reachable(coding, levels, choices);
  if ((flags & 2) != 0) choices.row_skip_flags = nnr::find_zero_rows(coding, levels.data());
  // The search takes as long as everything else, so one input in four runs it.
  if ((flags & 0x14) == 0x14 && !nnr::search_initialisations(coding, levels.data(), flags & 1 ? 64 : 0, choices).ok()) return 0;

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
  // The estimate of a bin is a mean over the range. Block rows restart the range, and the codeword ends with padding.
  const double bits = static_cast<double>(estimate.total()) / nnr::kBypassCost;
  const double taken = 8.0 * static_cast<double>(encoded.bytes.size());
  const double slack = 32.0 + 2.0 * static_cast<double>(coding.block_rows()) + 0.2 * bits;
  fuzz::require(taken >= bits - slack && taken <= bits + slack, "the estimate is near the size of the codeword");

  for (const auto decode : {nnr::decode_payload, nnr::decode_payload_reference}) {
    std::vector<std::int32_t> again(levels.size());
    std::int32_t* output = again.data();
    nnr::TensorSideData side;
    fuzz::require(decode(encoded.bytes, {&coding, 1}, {&output, 1}, {&side, 1}).ok(), "an encoded payload decodes");
    fuzz::require(again == levels, "decoded levels equal the encoded ones");
    fuzz::require(side.qp_value == choices.qp_value && side.row_skip_flags == choices.row_skip_flags &&
                      side.history_enabled == choices.history_enabled,
                  "decoded choices equal the encoded ones");
    fuzz::require(encoded.block_row_starts[0] == side.block_row_starts, "decoded block rows start at the encoder's entry points");
  }
  return 0;
}
