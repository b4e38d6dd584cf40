// SPDX-License-Identifier: Apache-2.0
#include "batch_pickle.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>

#include "parser.hpp"

namespace nb = nanobind;

namespace nnr_bindings {

namespace {

using nnr::syntax::Bytes;

Bytes copied(nnr::Arena& arena, const void* octets, std::size_t size) {
  auto* const copy = arena.make<std::uint8_t>(size);
  if (copy == nullptr) throw std::bad_alloc();
  if (size > 0) std::memcpy(copy, octets, size);
  return {copy, size};
}

// Indices of a header into the reference list; empty for one with names.
std::vector<std::uint32_t> references_of(const nnr::syntax::NnrCompressedDataUnitHeader& header) {
  if (header.has_topology_elem_id_index) return {header.topology_elem_id_index};
  if (!header.has_topology_elements_ids_list) return {};
  const auto list = header.topology_elements_ids_list.topology_elem_id_index_list;
  return {list.begin(), list.end()};
}

class Restorer {
 public:
  Restorer(UnitBatch& batch, const PickledBatch& state) : batch_(batch) {
    std::int64_t n_references;
    const std::vector<PickledUnit>* units = nullptr;
    bool indexed, parents;
    std::tie(profile_, indexed, parents, n_references, quantisation_.known, quantisation_.qp_density,
             quantisation_.quantization_parameter, std::ignore) = state;
    units = &std::get<7>(state);
    batch.scope.general_profile_idc = profile_;
    batch.scope.mps_topology_indexed_reference_flag = indexed ? 1 : 0;
    batch.scope.mps_parent_signalling_enabled_flag = parents ? 1 : 0;
    batch.scope.NumReferences = n_references;
    references_.resize(static_cast<std::size_t>(std::max<std::int64_t>(0, n_references)));
    for (const PickledUnit& unit : *units) add(unit);
  }

 private:
  void add(const PickledUnit& state) {
    const auto& [index, begin, octets, pieces, names, shape] = state;
    UnitBatch::Unit unit;
    nnr::CodedUnit& coded = unit.walked.coded;
    const Bytes bytes = copied(*batch_.arena, octets.data(), octets.size());
    auto* const resolved = batch_.arena->make<Bytes>(names.size());
    if (resolved == nullptr) throw std::bad_alloc();
    for (std::size_t i = 0; i < names.size(); ++i) resolved[i] = copied(*batch_.arena, names[i].data(), names[i].size());
    unit.walked.index = index;
    unit.walked.begin = begin;
    if (!pieces.empty()) unit.joined = joined(bytes, pieces);
    coded.buffer = bytes.data();
    coded.end = bytes.size();
    coded.is_joined = !pieces.empty();
    coded.general_profile_idc = profile_;
    coded.quantisation = quantisation_;
    parse(coded, {resolved, names.size()});
    coded.data.names = {resolved, names.size()};
    auto* const dimensions = batch_.arena->make<std::uint64_t>(shape.size());
    if (dimensions == nullptr) throw std::bad_alloc();
    std::copy(shape.begin(), shape.end(), dimensions);
    coded.data.shape = {dimensions, shape.size()};
    if (!plan_tensors(coded.data, *batch_.arena).ok()) throw std::invalid_argument("the state is no batch of units");
    for (const nnr::TensorPlan& tensor : coded.data.tensors) batch_.n_elements += tensor.n_elements;
    batch_.units.push_back(std::move(unit));
  }

  void parse(nnr::CodedUnit& coded, std::span<const Bytes> names) {
    // A first pass gives the indices, by whose names the second one parses.
    for (const bool is_last : {false, true}) {
      nnr::syntax::Parser parser(coded.buffer, coded.begin, coded.end, limits_, *batch_.arena, references_);
      parser.scope = batch_.scope;
      parsed_ = {};
      const bool done = parse_nnr_unit(parser, parsed_) && parser.expect_end();
      if (is_last && !done) throw std::invalid_argument("the state is no batch of units");
      const std::vector<std::uint32_t> indices = references_of(parsed_.nnr_compressed_data_unit_header);
      if (indices.empty() && done) break;
      for (std::size_t i = 0; i < indices.size() && i < names.size(); ++i)
        if (indices[i] < references_.size()) references_[indices[i]] = names[i];
    }
    auto* const header = batch_.arena->make<nnr::syntax::NnrCompressedDataUnitHeader>(1);
    if (header == nullptr) throw std::bad_alloc();
    *header = parsed_.nnr_compressed_data_unit_header;
    if (!read_header(*header, limits_, *batch_.arena, coded.data).ok())
      throw std::invalid_argument("the state is no batch of units");
    coded.payload = parsed_.nnr_compressed_data_unit_payload.nnr_compressed_data_unit_payload;
  }

  static std::unique_ptr<nnr::JoinedUnit> joined(Bytes bytes, const PickledPieces& pieces) {
    auto unit = std::make_unique<nnr::JoinedUnit>();
    if (!unit->start(nnr::kHeap, bytes.size())) throw std::bad_alloc();
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const std::uint64_t from = pieces[i].first, to = i + 1 < pieces.size() ? pieces[i + 1].first : bytes.size();
      if (from > to || to > bytes.size()) throw std::invalid_argument("the state is no batch of units");
      if (!unit->append(nnr::kHeap, bytes.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from)),
                        pieces[i].second))
        throw std::bad_alloc();
    }
    return unit;
  }

  UnitBatch& batch_;
  nnr_limits limits_ = unlimited();  // the units were checked before
  std::uint32_t profile_ = 0;
  nnr::Quantisation quantisation_;
  std::vector<Bytes> references_;
  nnr::syntax::NnrUnit parsed_;
};

}  // namespace

PickledBatch pickled(const UnitBatch& batch) {
  std::vector<PickledUnit> units;
  nnr::Quantisation quantisation;
  for (const UnitBatch::Unit& unit : batch.units) {
    const nnr::CodedUnit& coded = unit.walked.coded;
    PickledPieces pieces;
    if (unit.joined)
      for (const auto& piece : unit.joined->pieces()) pieces.emplace_back(piece.unit_byte, piece.stream_byte);
    std::vector<nb::bytes> names;
    for (const Bytes name : coded.data.names) names.emplace_back(name.data(), name.size());
    units.emplace_back(unit.walked.index, unit.walked.begin,
                       nb::bytes(coded.buffer + coded.begin, static_cast<std::size_t>(coded.end - coded.begin)),
                       std::move(pieces), std::move(names),
                       std::vector<std::uint64_t>(coded.data.shape.begin(), coded.data.shape.end()));
    quantisation = coded.quantisation;
  }
  const nnr::syntax::Scope& scope = batch.scope;
  return {static_cast<std::uint32_t>(scope.general_profile_idc),
          scope.mps_topology_indexed_reference_flag != 0,
          scope.mps_parent_signalling_enabled_flag != 0,
          scope.NumReferences,
          quantisation.known,
          quantisation.qp_density,
          quantisation.quantization_parameter,
          std::move(units)};
}

void restore(UnitBatch& batch, const PickledBatch& state) { Restorer(batch, state); }

}  // namespace nnr_bindings
