// SPDX-License-Identifier: Apache-2.0
#include "decode_task.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "queued_job.hpp"
#include "split_unit.hpp"
#include "unit_batch.hpp"
#include "unit_decoder.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace nnr_bindings {

namespace {

// Units decoded so far that later ones may update.
struct Updates {
  explicit Updates(nb::handle max_updates_kept) : tree(nnr::kHeap, bound_of(max_updates_kept)) {}

  nnr::UpdateTree tree;
};

// Writable memory of a Python object, held with the GIL.
class WritableArray {
 public:
  WritableArray(nb::handle array, std::uint64_t n_bytes) {
    if (PyObject_GetBuffer(array.ptr(), &view_, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS) != 0) throw nb::python_error();
    if (static_cast<std::uint64_t>(view_.len) != n_bytes) {
      PyBuffer_Release(&view_);
      throw nb::value_error("the array has not the size of its tensor");
    }
  }
  WritableArray(WritableArray&& other) noexcept : view_(std::exchange(other.view_, Py_buffer{})) {}
  WritableArray(const WritableArray&) = delete;
  WritableArray& operator=(const WritableArray&) = delete;
  WritableArray& operator=(WritableArray&&) = delete;
  ~WritableArray() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }

  [[nodiscard]] std::int32_t* data() const { return static_cast<std::int32_t*>(view_.buf); }

 private:
  Py_buffer view_{};
};

// Decodes a batch. Arrays are in the order of the units' names. A tensor with entry points is split into several pieces.
class DecodeTask {
 public:
  // With `updates` the units are decoded in turn, in result(), up to the first fault.
  DecodeTask(nb::object batch, const nb::list& arrays, bool dequantize, nnr::WorkQueue* queue, Updates* updates)
      : owner_(std::move(batch)), batch_(*nb::inst_ptr<UnitBatch>(owner_)), dequantizes_(dequantize), updates_(updates) {
    std::size_t next = 0;
    arrays_.reserve(nb::len(arrays));
    units_.resize(batch_.units.size());
    qp_values_.resize(nb::len(arrays));
    for (std::size_t n = 0; n < units_.size(); ++n) {
      const nnr::DataUnit& data = batch_.units[n].walked.coded.data;
      if (data.tensors.empty()) throw nb::value_error("a unit without shapes cannot be decoded");
      if (next + data.tensors.size() > nb::len(arrays)) throw nb::value_error("one array for each tensor is needed");
      units_[n].first_array = next;
      std::uint64_t n_elements[nnr::kMaxTensors];
      for (const nnr::TensorPlan& plan : data.tensors) n_elements[plan.name_index] = plan.n_elements;
      for (std::size_t i = 0; i < data.tensors.size(); ++i, ++next) arrays_.emplace_back(arrays[next], 4 * n_elements[i]);
    }
    plan_pieces(queue);
    job_.start(queue, pieces_.size(), longest_, [this](std::size_t i) { decode(pieces_[i]); });
  }

  void cancel() { job_.cancel(); }

  // Payloads decoded from entry points, and those among them whose entry points were wrong; valid after result().
  [[nodiscard]] nb::tuple block_row_counts() const { return nb::make_tuple(n_by_block_rows_, n_redecoded_); }

  // None, or the fault of each unit, with None for a unit without. Called once, by one thread.
  nb::object result() {
    job_.wait();
    verify_block_rows();
    if (std::all_of(units_.begin(), units_.end(), [](const Unit& unit) { return unit.fault.status == NNR_OK; }))
      return nb::none();
    nb::list faults;
    for (std::size_t n = 0; n < units_.size(); ++n) {
      const nnr::Fault& fault = units_[n].fault;
      if (fault.status == NNR_MEMORY) throw std::bad_alloc();
      faults.append(fault.status == NNR_OK ? nb::none() : nb::cast(batch_.placed(n, fault)));
    }
    return faults;
  }

  // The quantisation parameter of each tensor, 0 without one; valid after result().
  [[nodiscard]] nb::list qp_values() const {
    nb::list values;
    for (const std::int32_t value : qp_values_) values.append(value);
    return values;
  }

 private:
  struct Unit {
    std::size_t first_array = 0;
    nnr::Fault fault;
    std::unique_ptr<nnr::SplitUnit> split;  // null unless threads share it
  };
  // Several units, or some block rows of one.
  struct Piece {
    std::size_t unit;
    std::size_t end;
    std::size_t block_rows_piece;
  };
  // Elements of small units that make a piece: below this, threads wait for each other.
  static constexpr std::uint64_t kPieceElements = 1 << 13;

  [[nodiscard]] const nnr::CodedUnit& coded(std::size_t n) const { return batch_.units[n].walked.coded; }
  [[nodiscard]] std::span<std::int32_t> levels_of(std::size_t n, std::size_t tensor) const {
    const nnr::TensorPlan& plan = coded(n).data.tensors[tensor];
    return {arrays_[units_[n].first_array + plan.name_index].data(), static_cast<std::size_t>(plan.n_elements)};
  }

  void plan_pieces(const nnr::WorkQueue* queue) {
    if (updates_ != nullptr) {
      pieces_.push_back({0, units_.size(), 0});
      return;
    }
    std::uint64_t n_elements = 0, n_bytes = 0;
    bool is_open = false;
    for (std::size_t n = 0; n < units_.size(); ++n) {
      const nnr::CodedUnit& unit = coded(n);
      Unit& planned = units_[n];
      if (queue != nullptr && unit.data.header->has_cabac_entry_point) {
        const nb::gil_scoped_release release;  // decoding the side data may take long
        planned.split = std::make_unique<nnr::SplitUnit>(unit, nnr::kHeap);
        if (planned.split->count() == 0) planned.split.reset();
      }
      if (planned.split != nullptr) {
        const std::size_t count = planned.split->count();
        for (std::size_t i = 0; i < count; ++i) pieces_.push_back({n, n + 1, i});
        // In bytes, which predict the time better than the number of weights.
        longest_ = std::max(longest_, unit.payload.size() / count);
        is_open = false;
        continue;
      }
      std::uint64_t size = 0;
      for (const nnr::TensorPlan& plan : unit.data.tensors) size = nnr::saturating_sum(size, plan.n_elements);
      if (!is_open || nnr::saturating_sum(n_elements, size) > kPieceElements) {
        pieces_.push_back({n, n, 0});
        n_elements = n_bytes = 0;
        is_open = true;
      }
      pieces_.back().end = n + 1;
      n_elements += size;
      n_bytes += unit.payload.size();
      longest_ = std::max(longest_, static_cast<std::size_t>(n_bytes));
    }
  }

  void decode(const Piece& piece) {
    if (nnr::SplitUnit* const split = units_[piece.unit].split.get(); split != nullptr)
      return split->decode(piece.block_rows_piece, levels_of(piece.unit, 0).data(), dequantizes_);
    for (std::size_t n = piece.unit; n < piece.end; ++n) {
      units_[n].fault = decode_unit(n);
      if (units_[n].fault.status == NNR_OK) units_[n].fault = check_arrays(coded(n));
      if (updates_ != nullptr && units_[n].fault.status != NNR_OK) return;
    }
  }

  void dequantize(std::size_t n, std::size_t tensor, std::int32_t qp, std::span<std::int32_t> levels) const {
    if (dequantizes_ && !coded(n).is_integer()) nnr::dequantize_levels(coded(n), tensor, qp, levels);
  }

  nnr::Fault decode_unit(std::size_t n) {
    const nnr::CodedUnit& unit = coded(n);
    const std::size_t count = unit.data.tensors.size();
    std::span<const nnr::RememberedTensor> previous;
    if (updates_ != nullptr)
      if (const nnr::Fault fault = find_parent(n, previous); fault.status != NNR_OK) return fault;
    if (unit.is_raw()) return nnr::read_raw_values(unit, levels_of(n, 0).data());
    std::int32_t* levels[nnr::kMaxTensors];
    std::int32_t qp_values[nnr::kMaxTensors];
    for (std::size_t i = 0; i < count; ++i) levels[i] = levels_of(n, i).data();
    const nnr::Fault fault = nnr::decode_levels(unit, previous, {levels, count}, {qp_values, count}, nnr::kHeap);
    if (fault.status != NNR_OK) return fault;
    if (updates_ != nullptr && !updates_->tree.remember(unit.data, unit.payload, {levels, count}, previous))
      throw std::bad_alloc();
    for (std::size_t i = 0; i < count; ++i) {
      if (!unit.is_integer()) qp_values_[units_[n].first_array + unit.data.tensors[i].name_index] = qp_values[i];
      dequantize(n, i, qp_values[i], levels_of(n, i));
    }
    return {};
  }

  // After the faults of the payload, because the stream itself is valid.
  static nnr::Fault check_arrays(const nnr::CodedUnit& unit) {
    const auto fits = [](const nnr::TensorPlan& plan) { return fits_array(plan); };
    if (std::all_of(unit.data.tensors.begin(), unit.data.tensors.end(), fits)) return {};
    return unit.fault({NNR_UNSUPPORTED, {}, "tensor_dimensions", "format 3", "the dimensions of an empty tensor exceed NumPy's"},
                      NNR_STAGE_HEADER);
  }

  nnr::Fault find_parent(std::size_t n, std::span<const nnr::RememberedTensor>& previous) const {
    const nnr::CodedUnit& unit = coded(n);
    const nnr::Problem problem = updates_->tree.find_parent(unit.data, previous);
    if (problem.ok()) return nnr::check_shapes(unit, previous);
    nnr::Fault fault = unit.fault(problem, NNR_STAGE_SEQUENCE);
    fault.element = nnr::syntax::element_name(problem.place.element);
    fault.bit_offset = batch_.locate(n, problem.place);
    return fault;
  }

  // Decodes tensors with wrong entry points again, from their start.
  void verify_block_rows() {
    const nb::gil_scoped_release release;
    for (std::size_t n = 0; n < units_.size(); ++n) {
      Unit& unit = units_[n];
      if (unit.split == nullptr) continue;
      ++n_by_block_rows_;
      if (unit.split->is_verified()) {
        qp_values_[unit.first_array] = unit.split->qp();
        unit.fault = unit.split->finish(levels_of(n, 0).data(), dequantizes_);
      } else {
        ++n_redecoded_;
        unit.fault = decode_unit(n);
      }
      unit.split.reset();
    }
  }

  nb::object owner_;
  const UnitBatch& batch_;
  bool dequantizes_;
  Updates* updates_;  // kept alive by nanobind
  std::vector<WritableArray> arrays_;
  std::vector<Unit> units_;
  std::vector<std::int32_t> qp_values_;
  std::vector<Piece> pieces_;
  std::size_t longest_ = 0;  // piece, in bytes
  std::size_t n_by_block_rows_ = 0;
  std::size_t n_redecoded_ = 0;
  QueuedJob job_;  // last, so that it is destroyed before what its threads use
};

}  // namespace

void register_decode_task(nb::module_& m) {
  nb::class_<Updates>(m, "UpdateTree").def(nb::init<nb::handle>(), "max_updates_kept"_a.none());

  nb::class_<DecodeTask>(m, "DecodeTask")
      .def(
          "__init__",
          [](DecodeTask* self, nb::handle_t<UnitBatch> batch, const nb::list& arrays, bool dequantize, nnr::WorkQueue* workers,
             Updates* updates) { new (self) DecodeTask(nb::borrow(batch), arrays, dequantize, workers, updates); },
          "batch"_a, "arrays"_a, "dequantize"_a, "workers"_a.none() = nb::none(), "updates"_a.none() = nb::none(),
          nb::keep_alive<1, 5>(), nb::keep_alive<1, 6>(),
          nb::sig("def __init__(self, batch: UnitBatch, arrays: list[numpy.typing.NDArray[numpy.float32] | "
                  "numpy.typing.NDArray[numpy.int32]], dequantize: bool, workers: Workers | None = None, updates: UpdateTree | "
                  "None = None) -> None"))
      .def("cancel", &DecodeTask::cancel)
      .def_prop_ro("block_row_counts", &DecodeTask::block_row_counts)
      .def_prop_ro("qp_values", &DecodeTask::qp_values, nb::sig("def qp_values(self) -> list[int]"))
      .def("result", &DecodeTask::result, nb::sig("def result(self) -> list[Fault | None] | None"));
}

}  // namespace nnr_bindings
