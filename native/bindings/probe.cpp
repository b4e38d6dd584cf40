// SPDX-License-Identifier: Apache-2.0
#include "probe.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "buffer.hpp"
#include "nnr/probe.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T>
using Array = nnr_bindings::Array<T>;

nb::tuple tally_tuple(const nnr::BinTally& tally) { return nb::make_tuple(tally.bins, tally.ones, tally.bits); }

nb::object probe_tuple(const nnr::TensorProbe& probe, const nnr::TensorSideData& side) {
  nb::list contexts;
  for (std::size_t i = 0; i < probe.contexts.size(); ++i)
    if (probe.contexts[i].bins != 0) {
      const nnr::BinTally& tally = probe.contexts[i];
      contexts.append(nb::make_tuple(i, tally.bins, tally.ones, tally.bits, probe.final_states[i]));
    }
  nb::list bypass;
  for (const nnr::BinTally& tally : probe.bypass) bypass.append(tally_tuple(tally));
  return nb::make_tuple(contexts, bypass, probe.begin_bit, probe.end_bit, side.qp_value, side.history_enabled,
                        side.row_skip_enabled, nb::bytes(side.row_skip_flags.data(), side.row_skip_flags.size()),
                        nb::bytes(side.initialisations.data(), side.initialisations.size()), side.block_row_starts.size());
}

// `bases` and `histories` hold None or an array of rows * width elements for each tensor.
nb::tuple probe_payload(const Array<const std::uint8_t>& payload, std::vector<nnr::TensorCoding> codings,
                        const std::vector<std::optional<Array<const std::int32_t>>>& bases,
                        const std::vector<std::optional<Array<const std::uint8_t>>>& histories,
                        const std::vector<Array<std::int32_t>>& levels, std::optional<std::uint64_t> watch_bit) {
  if (codings.empty() || codings.size() != levels.size() || codings.size() != bases.size() || codings.size() != histories.size())
    throw nb::value_error("one levels array, base and history per tensor are needed");
  std::vector<std::int32_t*> outputs;
  for (std::size_t i = 0; i < codings.size(); ++i) {
    const auto& base = bases[i];
    const auto& history = histories[i];
    const std::uint64_t size = codings[i].size();
    if (levels[i].size() != size || (base && base->size() != size) || (history && history->size() != size))
      throw nb::value_error("array size differs from rows * width");
    outputs.push_back(levels[i].data());
    codings[i].base = base ? base->data() : nullptr;
    codings[i].history = history ? history->data() : nullptr;
  }
  std::vector<nnr::TensorSideData> side(codings.size());
  std::vector<nnr::TensorProbe> probes;
  nnr::WatchedBin watched;
  nnr::Status status;
  {
    const nb::gil_scoped_release release;
    status = nnr::probe_payload({payload.data(), payload.size()}, codings, outputs, side, probes,
                                watch_bit.value_or(std::numeric_limits<std::uint64_t>::max()), watched);
  }
  nb::list tensors;
  for (std::size_t i = 0; i < probes.size(); ++i) tensors.append(probe_tuple(probes[i], side[i]));
  nb::object watch = nb::none();
  if (watched.reached) watch = nb::make_tuple(watched.tensor, watched.context, static_cast<int>(watched.element), watched.level);
  return nb::make_tuple(nb::make_tuple(status.outcome, status.bit_position, status.tensor), tensors, watch);
}

}  // namespace

void register_probe(nb::module_& m) {
  m.def("probe_payload", &probe_payload, "payload"_a, "codings"_a, "bases"_a, "histories"_a, "levels"_a,
        "watch_bit"_a = nb::none());
}
