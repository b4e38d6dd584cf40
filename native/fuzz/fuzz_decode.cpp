// SPDX-License-Identifier: Apache-2.0
// Fuzz target: any bytes as a codeword. The fast decoder, the reference decoder and the probe agree. A decoded payload encodes,
// with the same choices, into a codeword that decodes to the same levels.
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

void require_same(const Decoded& a, const Decoded& b, const char* what) {
  fuzz::require(a.status.outcome == b.status.outcome && a.status.tensor == b.status.tensor, what);
  if (a.status.outcome == nnr::Outcome::kTruncated) return;  // decoders may read past the end to different positions
  fuzz::require(a.status.bit_position == b.status.bit_position, what);
  if (!a.status.ok()) return;
  fuzz::require(a.levels == b.levels && a.side == b.side, what);
}

std::vector<nnr::TensorChoices> choices_of(const Decoded& decoded) {
  std::vector<nnr::TensorChoices> choices;
  for (const nnr::TensorSideData& side : decoded.side)
    choices.push_back({side.qp_value, side.history_enabled, side.row_skip_flags, side.initialisations});
  return choices;
}

// Decoding from entry points, the true ones and others, gives the levels of sequential decoding, or is not verified.
void require_same_rows(const std::vector<std::uint8_t>& payload, const nnr::TensorCoding& coding, const Decoded& sequential) {
  const std::vector<nnr::BlockRowStart>& starts = sequential.side[0].block_row_starts;
  if (coding.base != nullptr || starts.size() < 2) return;
  for (const std::uint64_t change : {std::uint64_t{0}, std::uint64_t{payload.back()} << (payload.front() % 57)}) {
    std::vector<nnr::BlockRowStart> points;
    for (std::size_t i = 1; i < starts.size(); ++i)
      points.push_back({starts[i].position - starts[0].position, starts[i].offset, starts[i].state});
    points.back().position ^= change;
    points.back().offset ^= change >> 20;
    points.back().state ^= static_cast<int>(change >> 30);
    nnr::BlockRows rows(payload, coding, points, nnr::kHeap, 1 + payload.back() % 64U);
    std::vector<std::int32_t> levels(coding.size());
    for (std::size_t row = rows.count(); row-- > 0;) rows.decode(row, levels.data());
    fuzz::require(change != 0 || !sequential.status.ok() || rows.all_verified(), "the true entry points are verified");
    fuzz::require(!rows.all_verified() || (sequential.status.ok() && levels == sequential.levels[0]),
                  "verified block rows hold the levels of sequential decoding");
    // An offset out of range at the start is rejected here as in sequential decoding.
    std::vector<std::uint8_t> refused = payload;
    refused[0] = 0xFF;
    if (refused.size() > 1) refused[1] &= 0x7FU;
    fuzz::require(nnr::BlockRows(refused, coding, points, nnr::kHeap).count() == 0, "an offset that no range holds");
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
  // A copy of the exact size, so that sanitizers see a read past the end.
  const std::vector<std::uint8_t> payload(input.rest().begin(), input.rest().end());

  const Decoded fast =
      decode(codings, [&](auto& levels, auto& side) { return nnr::decode_payload(payload, codings, levels, side); });
  const Decoded reference =
      decode(codings, [&](auto& levels, auto& side) { return nnr::decode_payload_reference(payload, codings, levels, side); });
  require_same(fast, reference, "fast and reference decoder agree");
  // Most inputs fail early. One in eight of those runs the third decoder.
  if (!fast.status.ok() && size % 8 != 0) return 0;
  std::vector<nnr::TensorProbe> probes;
  nnr::WatchedBin watched;
  const Decoded probed = decode(codings, [&](auto& levels, auto& side) {
    return nnr::probe_payload(payload, codings, levels, side, probes, size == 0 ? 0U : bytes[size - 1] * 4U, watched);
  });
  require_same(probed, reference, "probe and reference decoder agree");
  if (codings.size() == 1) require_same_rows(payload, codings[0], fast);
  if (!fast.status.ok()) return 0;
  fuzz::require(probes.size() == codings.size(), "a probe for each tensor");

  std::vector<const std::int32_t*> inputs;
  for (const auto& levels : fast.levels) inputs.push_back(levels.data());
  nnr::EncodedPayload encoded;
  const nnr::Status status = nnr::encode_payload(codings, inputs, choices_of(fast), encoded);
  fuzz::require(status.ok(), "a decoded payload encodes");
  const Decoded redecoded =
      decode(codings, [&](auto& levels, auto& side) { return nnr::decode_payload(encoded.bytes, codings, levels, side); });
  fuzz::require(redecoded.status.ok() && redecoded.levels == fast.levels, "the encoded payload decodes to the same levels");
  for (std::size_t i = 0; i < codings.size(); ++i)
    fuzz::require(redecoded.side[i].block_row_starts.size() == fast.side[i].block_row_starts.size(),
                  "the encoded payload has as many block rows");
  return 0;
}
