// SPDX-License-Identifier: Apache-2.0
#include "unit_walk.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "unit_batch.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace nnr_bindings {

namespace {

using nnr::syntax::Bytes;

std::string_view view_of(Bytes text) { return {reinterpret_cast<const char*>(text.data()), text.size()}; }
Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

// A unit that is no data unit.
struct StreamUnit {
  std::uint64_t index;
  std::uint64_t byte_offset;
  std::uint64_t size_bytes;
  std::uint32_t type;
  std::uint32_t storage_format;
  nb::object content;  // of a topology unit, inflated
};

class StreamWalk {
 public:
  StreamWalk(Array<const std::uint8_t> stream, nb::handle limits, nb::dict dimensions,
             const std::optional<std::vector<nb::bytes>>& wanted, bool needs_shapes)
      : stream_(std::move(stream)),
        dimensions_(std::move(dimensions)),
        options_{sizeof options_, limits_of(limits), nnr::kHeap, shape_of, this, NNR_CODED, 0, 0, 0},
        walk_(options_) {
    walk_.leave_topologies();
    if (!needs_shapes) walk_.leave_shapes();
    if (wanted) {
      wanted_.emplace();
      for (const nb::bytes& name : *wanted) wanted_->emplace(name.c_str(), name.size());
      walk_.skip_unless([](void* self, Bytes name) { return static_cast<StreamWalk*>(self)->is_wanted(name); }, this);
    }
    note(walk_.open({stream_.data(), stream_.size()}));
    if (fault_ && fault_->fault.bit_offset == 0) fault_->unit = UnitFault::kWholeStream;
  }
  StreamWalk(const StreamWalk&) = delete;
  StreamWalk& operator=(const StreamWalk&) = delete;

  // Continues with the units of a range of bytes.
  void seek(std::uint64_t begin, std::uint64_t end, std::uint64_t index) {
    if (begin > end || end > stream_.size()) throw nb::value_error("the range is not inside the stream");
    walk_.seek(begin, end, index);
    at_end_ = false;
  }

  void set_full_names(const std::vector<nb::bytes>& names) {
    full_names_.clear();
    full_name_bytes_.clear();
    for (const nb::bytes& name : names) full_names_.push_back(bytes_of(full_name_bytes_.emplace_back(name.c_str(), name.size())));
    walk_.set_full_names(full_names_);
  }

  // The next data units in a batch, a unit of another type, a fault, or None at the end. A batch ends before a unit of another
  // type, before a fault, and before it exceeds its bounds; it is empty after a long way over units that are not wanted.
  nb::object next(std::uint64_t max_elements, std::size_t max_units) {
    auto batch = std::make_unique<UnitBatch>(stream_);
    batch->earlier_arena = std::move(pending_arena_);
    const std::uint64_t limit = position_ + kLongWay;
    while (true) {
      if (!pending_) take(*batch);
      if (!pending_) break;
      nnr::WalkedUnit& walked = pending_->walked;
      if (walked.is_skipped) {
        pending_.reset();
        if (position_ > limit) return nb::cast(std::move(batch));
        continue;
      }
      if (walked.type != nnr::syntax::NNR_NDU) break;
      std::uint64_t n_elements = 0;
      for (const nnr::TensorPlan& tensor : walked.coded.data.tensors) n_elements += tensor.n_elements;
      const std::size_t count = batch->units.size();
      if (count == max_units || (count > 0 && nnr::saturating_sum(batch->n_elements, n_elements) > max_elements)) {
        pending_arena_ = batch->arena;
        break;
      }
      if (count == 0) note_scope(*batch);
      batch->n_elements += n_elements;
      batch->units.push_back(std::move(*pending_));
      pending_.reset();
    }
    if (!batch->units.empty()) return nb::cast(std::move(batch));
    if (pending_) return other_unit(pending_->walked);
    return fault_ ? nb::cast(*fault_) : nb::none();
  }

  // The last unit by the sizes of the units alone, or a fault.
  nb::object last_unit() {
    nnr::WalkedUnit unit;
    if (!fault_) note(walk_.skim(unit));
    if (fault_) return nb::cast(*fault_);
    return nb::cast(StreamUnit{unit.index, unit.begin, unit.size_bytes, unit.type, 0, nb::none()});
  }

  // The unit at work, joined from its parts, and the place in the stream of a bit of it.
  [[nodiscard]] nb::bytes unit_bytes() const {
    const std::span<const std::uint8_t> octets = walk_.unit_bytes();
    return nb::bytes(octets.data(), octets.size());
  }
  [[nodiscard]] std::uint64_t place_of(std::uint64_t bit) const { return walk_.place_of(bit); }
  [[nodiscard]] const nnr::StreamState& state() const { return walk_.state(); }
  [[nodiscard]] nb::list reference_list() const {
    nb::list names;
    for (const Bytes name : walk_.reference_list()) names.append(text_of(name));
    return names;
  }
  [[nodiscard]] std::uint64_t position() const { return position_; }

  nnr::StreamWalk& walk() { return walk_; }

 private:
  static constexpr std::uint64_t kLongWay = 1 << 24;   // bytes
  static constexpr std::size_t kPieceBytes = 1 << 20;  // of the largest carrier unit

  [[nodiscard]] bool is_wanted(Bytes name) const { return !wanted_ || wanted_->contains(std::string(view_of(name))); }

  static int shape_of(void* self, const char* name, std::uint64_t* shape, std::size_t capacity) {
    const nb::dict& dimensions = static_cast<StreamWalk*>(self)->dimensions_;
    const nb::object key = text_of({reinterpret_cast<const std::uint8_t*>(name), std::strlen(name)});
    if (!dimensions.contains(key)) return -1;
    const nb::object known = dimensions[key];
    const std::size_t count = nb::len(known);
    for (std::size_t i = 0; i < count && i < capacity; ++i) shape[i] = nb::cast<std::uint64_t>(known[i]);
    return static_cast<int>(std::min<std::size_t>(count, 1 << 20));
  }

  void note(const nnr::Fault& fault) {
    if (fault.status == NNR_MEMORY) throw std::bad_alloc();
    at_end_ = fault.status != NNR_OK;
    if (fault.status != NNR_OK && fault.status != NNR_END) fault_ = {fault, walk_.unit_index()};
  }

  // Takes the next unit into `pending_`, which stays empty at a fault and at the end.
  void take(UnitBatch& batch) {
    if (at_end_) return;
    UnitBatch::Unit unit;
    // What a unit that is not kept refers to is in the stream.
    note(walk_.next(*batch.arena, unit.walked));
    if (at_end_) return;
    position_ = unit.walked.begin;
    if (unit.walked.type == nnr::syntax::NNR_NDU && !unit.walked.is_skipped) {
      if (unit.walked.coded.is_joined) unit.joined = std::make_unique<nnr::JoinedUnit>(std::move(walk_.joined()));
      if (wanted_ && !walk_.state().parent_signalling) {
        const auto names = unit.walked.coded.data.names;
        unit.walked.is_skipped = std::none_of(names.begin(), names.end(), [&](Bytes name) { return is_wanted(name); });
      }
      if (!full_names_.empty() || walk_.state().indexed_references) keep_names(batch, unit.walked.coded.data);
    }
    pending_.emplace(std::move(unit));
  }

  // Copies names that are not in the unit, since the walk may drop them.
  static void keep_names(UnitBatch& batch, nnr::DataUnit& unit) {
    auto* const names = batch.arena->make<Bytes>(unit.names.size());
    if (names == nullptr) throw std::bad_alloc();
    for (std::size_t i = 0; i < unit.names.size(); ++i) {
      auto* const octets = batch.arena->make<std::uint8_t>(unit.names[i].size());
      if (octets == nullptr) throw std::bad_alloc();
      std::copy(unit.names[i].begin(), unit.names[i].end(), octets);
      names[i] = {octets, unit.names[i].size()};
    }
    unit.names = {names, unit.names.size()};
  }

  void note_scope(UnitBatch& batch) const {
    const nnr::StreamState& state = walk_.state();
    batch.scope.general_profile_idc = state.general_profile_idc;
    batch.scope.mps_topology_indexed_reference_flag = state.indexed_references ? 1 : 0;
    batch.scope.mps_parent_signalling_enabled_flag = state.parent_signalling ? 1 : 0;
    batch.scope.NumReferences = static_cast<std::int64_t>(walk_.reference_list().size());
  }

  // The pending unit, which is `walked`, or its fault.
  nb::object other_unit(const nnr::WalkedUnit& walked) {
    nb::object content = nb::none();
    if (walked.has_topology) {
      Bytes octets;
      note(walk_.inflate_topology(walked, &inflated_, octets));
      if (fault_) return nb::cast(*fault_);
      content = nb::bytes(octets.data(), octets.size());
      if (inflated_.size() > kPieceBytes) inflated_.clear();
    }
    const nb::object unit =
        nb::cast(StreamUnit{walked.index, walked.begin, walked.size_bytes, walked.type, walked.storage_format, content});
    pending_.reset();
    pending_arena_.reset();
    return unit;
  }

  Array<const std::uint8_t> stream_;
  nb::dict dimensions_;
  nnr_options options_;
  nnr::StreamWalk walk_;
  std::optional<std::unordered_set<std::string>> wanted_;
  std::deque<std::string> full_name_bytes_;
  std::vector<Bytes> full_names_;
  std::optional<UnitBatch::Unit> pending_;  // taken, and not returned
  std::shared_ptr<nnr::Arena> pending_arena_;
  std::optional<UnitFault> fault_;
  nnr::Buffer<std::uint8_t> inflated_;  // its memory serves the next piece
  bool at_end_ = false;
  std::uint64_t position_ = 0;  // first byte of the unit taken last
};

}  // namespace

void register_walk(nb::module_& m) {
  nb::class_<StreamUnit>(m, "StreamUnit")
      .def_ro("index", &StreamUnit::index)
      .def_ro("byte_offset", &StreamUnit::byte_offset)
      .def_ro("size_bytes", &StreamUnit::size_bytes)
      .def_ro("type", &StreamUnit::type)
      .def_ro("storage_format", &StreamUnit::storage_format)
      .def_prop_ro("content", [](const StreamUnit& self) { return self.content; }, nb::sig("def content(self) -> bytes | None"));

  nb::class_<StreamWalk>(m, "StreamWalk")
      .def(nb::init<Array<const std::uint8_t>, nb::handle, nb::dict, const std::optional<std::vector<nb::bytes>>&, bool>(),
           "stream"_a, "limits"_a, "dimensions"_a, "wanted"_a = nb::none(), "needs_shapes"_a = true)
      .def("last_unit", &StreamWalk::last_unit, nb::sig("def last_unit(self) -> StreamUnit | Fault"))
      .def("seek", &StreamWalk::seek, "begin"_a, "end"_a, "index"_a)
      .def("set_full_names", &StreamWalk::set_full_names, "names"_a)
      .def("next", &StreamWalk::next, "max_elements"_a, "max_units"_a,
           nb::sig("def next(self, max_elements: int, max_units: int) -> UnitBatch | StreamUnit | Fault | None"))
      .def("unit_bytes", &StreamWalk::unit_bytes)
      .def("place_of", &StreamWalk::place_of, "bit"_a)
      .def_prop_ro("position", &StreamWalk::position)
      .def_prop_ro("general_profile_idc",
                   [](const StreamWalk& self) {
                     return self.state().started ? std::optional(self.state().general_profile_idc) : std::nullopt;
                   })
      .def_prop_ro("indexed_references", [](const StreamWalk& self) { return self.state().indexed_references; })
      .def_prop_ro("parent_signalling", [](const StreamWalk& self) { return self.state().parent_signalling; })
      .def_prop_ro("total_elements", [](const StreamWalk& self) { return self.state().total_elements; })
      .def_prop_ro("reference_list", &StreamWalk::reference_list, nb::sig("def reference_list(self) -> list[str]"));
}

}  // namespace nnr_bindings
