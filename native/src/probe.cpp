// SPDX-License-Identifier: Apache-2.0
#include "nnr/probe.hpp"

#include <cmath>

#include "nnr/payload.hpp"

namespace nnr {

namespace {

// log2 of every range and every part of one, by its value.
const std::array<double, 512>& log2_of() {
  static const std::array<double, 512> table = [] {
    std::array<double, 512> t{};
    for (std::size_t i = 1; i < t.size(); ++i) t[i] = std::log2(static_cast<double>(i));
    return t;
  }();
  return table;
}

}  // namespace

ProbeSource::ProbeSource(std::span<const std::uint8_t> payload, std::uint64_t watch_bit)
    : engine_(payload), watch_bit_(watch_bit) {}

void ProbeSource::begin_tensor(const TensorCoding& coding, std::uint32_t index, TensorProbe& probe) {
  probe_ = &probe;
  layout_ = ContextLayout(coding.unary_length);
  probe.contexts.assign(static_cast<std::size_t>(layout_.count()), {});
  probe.begin_bit = engine_.bits_read();
  has_history_flag_ = coding.has_history_flag();
  bypass_flags_ = 0;
  last_context_ = -1;
  tensor_ = index;
  levels_ = 0;
}

void ProbeSource::end_tensor() {
  probe_->end_bit = engine_.bits_read();
  probe_->final_states.clear();
  for (int i = 0; i < layout_.count(); ++i) probe_->final_states.push_back(static_cast<std::int16_t>(contexts_[i].state()));
}

bool ProbeSource::regular(int context) {
  ContextModel& model = contexts_[context];
  const std::uint32_t range = engine_.range();
  const std::uint32_t lps = ContextModel::lps_range(range, model.state());
  const bool more_probable = model.state() >= 0;
  const bool bin = engine_.decode(model);
  const std::uint32_t kept = bin == more_probable ? range - lps : lps;
  record(probe_->contexts[static_cast<unsigned>(context)], bin, log2_of()[range] - log2_of()[kept]);
  last_context_ = context;
  if (context < ContextLayout::kSign) ++levels_;
  if (!watched_.reached) watch(context, ProbedElement::kTerminate);
  return bin;
}

bool ProbeSource::bypass() {
  const bool bin = engine_.decode_bypass();
  const bool history = has_history_flag_ && bypass_flags_++ == 0;
  const ProbedElement element = history ? ProbedElement::kHistoryFlag : ProbedElement::kRowSkipEnabled;
  record(tally(element), bin, 1.0);
  if (!watched_.reached) watch(-1, element);
  return bin;
}

ProbedElement ProbeSource::purpose_of_bypass_bins() const {
  if (last_context_ < 0) return ProbedElement::kQpValue;
  return last_context_ == layout_.parameter_flag() ? ProbedElement::kInitialisation : ProbedElement::kSuffix;
}

std::uint32_t ProbeSource::bypass_bins(int count) {
  const ProbedElement element = purpose_of_bypass_bins();
  std::uint32_t bins = 0;
  for (int i = 0; i < count; ++i) {
    const bool bin = engine_.decode_bypass();
    bins = 2 * bins + (bin ? 1U : 0U);
    record(tally(element), bin, 1.0);
    if (!watched_.reached) watch(-1, element);
  }
  return bins;
}

bool ProbeSource::terminate() {
  const std::uint32_t range = engine_.range();
  const bool bin = engine_.decode_terminate();
  record(tally(ProbedElement::kTerminate), bin, log2_of()[range] - log2_of()[bin ? 2 : range - 2]);
  if (!watched_.reached) watch(-1, ProbedElement::kTerminate);
  return bin;
}

bool ProbeSource::restart_range() {
  record(tally(ProbedElement::kRangeRestart), false, log2_of()[engine_.range()] - log2_of()[kRestartRange]);
  return engine_.restart_range();
}

void ProbeSource::record(BinTally& tally, bool bin, double cost) {
  // Bins past the end of the codeword cost nothing.
  if (!engine_.overrun()) tally.add(bin, cost);
}

void ProbeSource::watch(int context, ProbedElement element) {
  if (engine_.bits_read() <= watch_bit_) return;
  watched_ = {true, tensor_, context, element, levels_};
}

Status probe_payload(std::span<const std::uint8_t> payload, std::span<const TensorCoding> codings,
                     std::span<std::int32_t* const> levels, std::span<TensorSideData> side, std::vector<TensorProbe>& probes,
                     std::uint64_t watch_bit, WatchedBin& watched) {
  ProbeSource source(payload, watch_bit);
  probes.assign(codings.size(), {});
  std::size_t n_started = 0;
  const auto finished = [&](Outcome outcome) {
    watched = source.watched();
    const std::uint64_t position = source.bits_read();
    const std::size_t last = n_started == 0 ? 0 : n_started - 1;
    probes.resize(n_started);
    return Status{outcome, position, static_cast<std::uint32_t>(last)};
  };
  if (!offset_in_range(source)) return finished(payload.size() < 2 ? Outcome::kTruncated : Outcome::kOffsetAboveRange);
  while (n_started < codings.size()) {
    source.begin_tensor(codings[n_started], static_cast<std::uint32_t>(n_started), probes[n_started]);
    TensorDecoder decoder(source, codings[n_started]);
    const Outcome outcome = decoder.decode(levels[n_started], side[n_started]);
    source.end_tensor();
    ++n_started;
    if (outcome != Outcome::kOk) return finished(outcome);
  }
  return finished(finish_decoding(source, payload));
}

}  // namespace nnr
