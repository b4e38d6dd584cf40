// SPDX-License-Identifier: Apache-2.0
// Any bytes as a codeword: the fast decoder, the plain one and the one that counts say the same; what decodes can be coded
// again, with the same choices, into a codeword that decodes to the same.
#include <algorithm>

#include "input.hpp"
#include "nnr/block_rows.hpp"
#include "nnr/payload.hpp"
#include "nnr/probe.hpp"

namespace {

struct Decoded {
  nnr::Status status;
  std::vector<std::vector<std::int32_t>> levels;
  std::vector<nnr::TensorSideData> side;
};

template <class Decode>
Decoded decode(const std::vector<nnr::TensorCoding>& codings, Decode&& run) {
  Decoded decoded;
  std::vector<std::int32_t*> outputs;
  for (const nnr::TensorCoding& coding : codings) decoded.levels.emplace_back(coding.size(), 0);
  for (auto& levels : decoded.levels) outputs.push_back(levels.data());
  decoded.side.resize(codings.size());
  decoded.status = run(outputs, decoded.side);
  return decoded;
}

bool same(const nnr::TensorSideData& a, const nnr::TensorSideData& b) {
  const auto same_start = [](const nnr::BlockRowStart& x, const nnr::BlockRowStart& y) {
    return x.position == y.position && x.offset == y.offset && x.state == y.state;
  };
  return a.qp_value == b.qp_value && a.history_enabled == b.history_enabled && a.row_skip_enabled == b.row_skip_enabled &&
         a.row_skip_flags == b.row_skip_flags && a.initialisations == b.initialisations &&
         std::equal(a.block_row_starts.begin(), a.block_row_starts.end(), b.block_row_starts.begin(), b.block_row_starts.end(),
                    same_start);
}

void require_same(const Decoded& a, const Decoded& b, const char* what) {
  fuzz::require(a.status.outcome == b.status.outcome && a.status.tensor == b.status.tensor, what);
  if (a.status.outcome == nnr::Outcome::kTruncated) return;  // how far each reads past the end is its own affair
  fuzz::require(a.status.bit_position == b.status.bit_position, what);
  if (!a.status.ok()) return;
  fuzz::require(a.levels == b.levels && std::equal(a.side.begin(), a.side.end(), b.side.begin(), b.side.end(), same), what);
}

std::vector<nnr::TensorChoices> choices_of(const Decoded& decoded) {
  std::vector<nnr::TensorChoices> choices;
  for (const nnr::TensorSideData& side : decoded.side)
    choices.push_back({side.qp_value, side.history_enabled, side.row_skip_flags, side.initialisations});
  return choices;
}

// Block rows one by one are what straight decoding gives, from the entry points it tells and from others, or they say that they
// are not.
void require_same_rows(const std::vector<std::uint8_t>& payload, const nnr::TensorCoding& coding, const Decoded& straight) {
  const std::vector<nnr::BlockRowStart>& starts = straight.side[0].block_row_starts;
  if (coding.base != nullptr || starts.size() < 2) return;
  for (const std::uint64_t change : {std::uint64_t{0}, std::uint64_t{payload.back()} << (payload.front() % 57)}) {
    std::vector<nnr::BlockRowStart> points;
    for (std::size_t i = 1; i < starts.size(); ++i)
      points.push_back({starts[i].position - starts[0].position, starts[i].offset, starts[i].state});
    points.back().position ^= change;
    points.back().offset ^= change >> 20;
    points.back().state ^= static_cast<int>(change >> 30);
    nnr::BlockRows rows(payload, coding, points, 1 + payload.back() % 64U);
    std::vector<std::int32_t> levels(coding.size());
    for (std::size_t row = rows.count(); row-- > 0;) rows.decode(row, levels.data());
    fuzz::require(change != 0 || !straight.status.ok() || rows.all_verified(), "entry points as they are lead through");
    fuzz::require(!rows.all_verified() || (straight.status.ok() && levels == straight.levels[0]), "block rows are the whole");
    // Where decoding straight on is refused at the first bits, so are rows.
    std::vector<std::uint8_t> refused = payload;
    refused[0] = 0xFF;
    if (refused.size() > 1) refused[1] &= 0x7FU;
    fuzz::require(nnr::BlockRows(refused, coding, points).count() == 0, "an offset that no range holds");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  fuzz::Input input(bytes, size);
  std::vector<fuzz::Tensor> tensors;
  const std::uint64_t count = input.number(1, 2);
  for (std::uint64_t i = 0; i < count; ++i) tensors.push_back(fuzz::take_tensor(input));
  std::vector<nnr::TensorCoding> codings;
  for (const fuzz::Tensor& tensor : tensors) codings.push_back(tensor.coding);
  // A copy of exactly the payload's size: reading past its end is seen.
  const std::vector<std::uint8_t> payload(input.rest().begin(), input.rest().end());

  const Decoded fast =
      decode(codings, [&](auto& levels, auto& side) { return nnr::decode_payload(payload, codings, levels, side); });
  const Decoded plain =
      decode(codings, [&](auto& levels, auto& side) { return nnr::decode_payload_reference(payload, codings, levels, side); });
  require_same(fast, plain, "fast and plain decoder agree");
  // Most inputs end early; of those, one in eight is enough for the third decoder.
  if (!fast.status.ok() && size % 8 != 0) return 0;
  std::vector<nnr::TensorProbe> probes;
  nnr::WatchedBin watched;
  const Decoded probed = decode(codings, [&](auto& levels, auto& side) {
    return nnr::probe_payload(payload, codings, levels, side, probes, size == 0 ? 0U : bytes[size - 1] * 4U, watched);
  });
  require_same(probed, plain, "probe and plain decoder agree");
  if (codings.size() == 1) require_same_rows(payload, codings[0], fast);
  if (!fast.status.ok()) return 0;
  fuzz::require(probes.size() == codings.size(), "a probe for each tensor");

  std::vector<const std::int32_t*> inputs;
  for (const auto& levels : fast.levels) inputs.push_back(levels.data());
  nnr::EncodedPayload encoded;
  const nnr::Status status = nnr::encode_payload(codings, inputs, choices_of(fast), encoded);
  fuzz::require(status.ok(), "what was decoded can be encoded");
  const Decoded again =
      decode(codings, [&](auto& levels, auto& side) { return nnr::decode_payload(encoded.bytes, codings, levels, side); });
  fuzz::require(again.status.ok() && again.levels == fast.levels, "and decodes to the same");
  for (std::size_t i = 0; i < codings.size(); ++i)
    fuzz::require(again.side[i].block_row_starts.size() == fast.side[i].block_row_starts.size(), "with as many block rows");
  return 0;
}
