// SPDX-License-Identifier: Apache-2.0
#include "tasks.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "nnr/block_rows.hpp"
#include "nnr/dequantizer.hpp"
#include "nnr/payload.hpp"
#include "nnr/quantizer.hpp"
#include "nnr/work_queue.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace nnr_bindings;

namespace {

// A job that runs on a queue, or without one in wait(). It must not move, because the queue refers to it.
class QueuedJob {
 public:
  QueuedJob() = default;
  QueuedJob(const QueuedJob&) = delete;
  QueuedJob& operator=(const QueuedJob&) = delete;
  // Blocks until no thread uses the arrays.
  ~QueuedJob() {
    if (queue_ != nullptr && state_ == State::kStarted) queue_->cancel(job_);
  }

  template <class Piece>
  void start(nnr::WorkQueue* queue, std::size_t count, std::size_t size, Piece&& piece) {
    job_.piece = std::forward<Piece>(piece);
    job_.count = count;
    job_.size = size;
    queue_ = queue;
    if (queue_ != nullptr) queue_->start(job_);
  }

  void wait() {
    if (state_ == State::kFinished) return;
    if (state_ == State::kCancelled) throw std::logic_error("the task was cancelled");
    const nb::gil_scoped_release release;
    if (queue_ != nullptr)
      queue_->wait(job_);
    else
      for (std::size_t i = 0; i < job_.count; ++i) job_.piece(i);
    state_ = State::kFinished;
  }

  // Drops the pieces not started, and waits for the others.
  void cancel() {
    if (state_ != State::kStarted) return;
    state_ = State::kCancelled;
    const nb::gil_scoped_release release;
    if (queue_ != nullptr) queue_->cancel(job_);
  }

 private:
  enum class State : std::uint8_t { kStarted, kFinished, kCancelled };

  nnr::WorkQueue::Job job_;
  nnr::WorkQueue* queue_ = nullptr;  // kept alive by nanobind
  State state_ = State::kStarted;
};

// (position, offset, state) of a block row.
using EntryPoint = std::tuple<std::int64_t, std::uint32_t, int>;
// (payload, codings, levels, quantization, entry points). Without quantization the arrays receive levels, otherwise values.
using DecodeEntry = std::tuple<Bytes, std::vector<nnr::TensorCoding>, std::vector<MutableLevels>,
                               std::optional<nnr::Quantization>, std::vector<EntryPoint>>;

// Decodes payloads. A payload of one tensor with entry points is split into several pieces.
class DecodeTask {
 public:
  DecodeTask(std::vector<DecodeEntry> entries, nnr::WorkQueue* queue) : entries_(std::move(entries)), payloads_(entries_.size()) {
    std::size_t longest = 0;  // piece, in bytes: they predict the time better than the number of weights
    for (std::size_t n = 0; n < entries_.size(); ++n) {
      const auto& [bytes, codings, levels, quantization, points] = entries_[n];
      if (codings.empty() || codings.size() != levels.size()) throw nb::value_error("one levels array per tensor is needed");
      Payload& payload = payloads_[n];
      for (std::size_t i = 0; i < codings.size(); ++i) {
        require_size(levels[i].size(), codings[i]);
        payload.levels.push_back(levels[i].data());
      }
      payload.side.resize(codings.size());
      if (queue != nullptr && codings.size() == 1 && !points.empty()) {
        const nb::gil_scoped_release release;  // decoding the side data may take long
        payload.block_rows.emplace(span_of(bytes), codings[0], starts_of(points));
        if (payload.block_rows->count() == 0) payload.block_rows.reset();
      }
      const std::size_t count = payload.block_rows ? payload.block_rows->count() : 1;
      for (std::size_t i = 0; i < count; ++i) pieces_.push_back({n, i});
      longest = std::max(longest, bytes.size() / count);
    }
    job_.start(queue, pieces_.size(), longest, [this](std::size_t i) { decode(pieces_[i]); });
  }

  void cancel() { job_.cancel(); }

  // Payloads decoded from entry points, and those among them whose entry points were wrong; valid after result().
  [[nodiscard]] nb::tuple block_row_counts() const { return nb::make_tuple(n_by_block_rows_, n_redecoded_); }

  // Per payload its status, or None on success, and the qp_value of each tensor. Called once, by one thread.
  nb::list result() {
    job_.wait();
    verify_block_rows();
    nb::list results;
    for (const Payload& payload : payloads_) {
      nb::list qp_values;
      for (const nnr::TensorSideData& side : payload.side) qp_values.append(side.qp_value);
      const nb::object status = payload.status.ok() ? nb::object(nb::none()) : nb::object(status_tuple(payload.status));
      results.append(nb::make_tuple(status, qp_values));
    }
    return results;
  }

 private:
  struct Payload {
    std::vector<std::int32_t*> levels;
    std::vector<nnr::TensorSideData> side;
    nnr::Status status;
    std::optional<nnr::BlockRows> block_rows;
  };
  struct Piece {
    std::size_t payload;
    std::size_t block_rows_piece;
  };

  static std::vector<nnr::BlockRowStart> starts_of(const std::vector<EntryPoint>& points) {
    std::vector<nnr::BlockRowStart> starts;
    starts.reserve(points.size());
    for (const auto& [position, offset, state] : points) starts.push_back({static_cast<std::uint64_t>(position), offset, state});
    return starts;
  }

  void decode(const Piece& piece) {
    Payload& payload = payloads_[piece.payload];
    if (!payload.block_rows) return decode_whole(piece.payload);
    const std::span<std::int32_t> levels = payload.block_rows->levels_of(piece.block_rows_piece, payload.levels[0]);
    if (payload.block_rows->decode(piece.block_rows_piece, payload.levels[0]))
      dequantize_in_place(piece.payload, 0, payload.block_rows->side(), levels);
  }

  void decode_whole(std::size_t n) {
    const auto& [bytes, codings, levels, quantization, points] = entries_[n];
    Payload& payload = payloads_[n];
    payload.status = nnr::decode_payload(span_of(bytes), codings, payload.levels, payload.side);
    if (!payload.status.ok()) return;
    for (std::size_t i = 0; i < codings.size(); ++i)
      dequantize_in_place(n, i, payload.side[i], {payload.levels[i], codings[i].size()});
  }

  // Turns the levels of a tensor without a codebook into values.
  void dequantize_in_place(std::size_t n, std::size_t tensor, const nnr::TensorSideData& side,
                           std::span<std::int32_t> levels) const {
    const auto& [bytes, codings, arrays, quantization, points] = entries_[n];
    if (!quantization || codings[tensor].codebook_size > 0) return;
    const std::int64_t qp = std::int64_t{side.qp_value} + quantization->quantization_parameter;
    nnr::dequantize(levels, nnr::step_size(qp, quantization->qp_density), levels.data());
  }

  // Decodes payloads with wrong entry points again, from their start.
  void verify_block_rows() {
    const nb::gil_scoped_release release;
    for (std::size_t n = 0; n < payloads_.size(); ++n) {
      Payload& payload = payloads_[n];
      if (!payload.block_rows) continue;
      ++n_by_block_rows_;
      if (payload.block_rows->all_verified()) {
        payload.side[0] = payload.block_rows->side();
      } else {
        ++n_redecoded_;
        decode_whole(n);
      }
      payload.block_rows.reset();
    }
  }

  std::vector<DecodeEntry> entries_;
  std::vector<Payload> payloads_;
  std::vector<Piece> pieces_;
  std::size_t n_by_block_rows_ = 0;
  std::size_t n_redecoded_ = 0;
  QueuedJob job_;  // last, so that it is destroyed before what its threads use
};

// Quantises one tensor's weights by dependent quantisation, and encodes the levels.
class EncodeTask {
 public:
  // `levels` receives the levels when it is not empty.
  EncodeTask(Weights weights, double step, const nnr::TensorCoding& coding, const EncodeOptions& options,
             std::optional<MutableLevels> levels, nnr::WorkQueue* queue)
      : weights_(std::move(weights)), step_(step), coding_(coding), options_(options), levels_(std::move(levels)) {
    require_size(weights_.size(), coding_);
    if (levels_) require_size(levels_->size(), coding_);
    job_.start(queue, 1, weights_.size(), [this](std::size_t) { encode(); });
  }

  void cancel() { job_.cancel(); }

  // Index of the first weight out of range, or the number of weights; status; codeword; starts of block rows.
  nb::tuple result() {
    job_.wait();
    const auto& starts = encoded_.block_row_starts;
    const nb::list start_tuples = starts_list(starts.empty() ? std::vector<nnr::BlockRowStart>() : starts[0]);
    return nb::make_tuple(n_quantized_, status_tuple(status_), bytes_of(encoded_.bytes), start_tuples);
  }

 private:
  void encode() {
    // Allocated here, so that levels nobody asked for live only as long as the piece.
    const std::unique_ptr<std::int32_t[]> local_levels(levels_ ? nullptr : new std::int32_t[weights_.size()]);
    std::int32_t* const levels = levels_ ? levels_->data() : local_levels.get();
    n_quantized_ = nnr::quantize_dependent(span_of(weights_), step_, coding_, levels);
    if (n_quantized_ != weights_.size()) return;
    const std::int32_t* const input = levels;
    nnr::TensorChoices choices = options_.choices_for(coding_, input);
    if (options_.search) status_ = nnr::search_initialisations(coding_, input, options_.sample, choices);
    if (status_.ok()) status_ = nnr::encode_payload({&coding_, 1}, {&input, 1}, {&choices, 1}, encoded_);
  }

  Weights weights_;
  double step_;
  nnr::TensorCoding coding_;
  EncodeOptions options_;
  std::optional<MutableLevels> levels_;
  std::size_t n_quantized_ = 0;
  nnr::Status status_;
  nnr::EncodedPayload encoded_;
  QueuedJob job_;  // last, so that it is destroyed before what its thread uses
};

}  // namespace

void register_tasks(nb::module_& m) {
  nb::class_<nnr::WorkQueue>(m, "Workers")
      .def(
          "__init__",
          [](nnr::WorkQueue* self, int threads) {
            if (threads < 0 || threads > 1024) throw nb::value_error("threads are 0..1024");
            new (self) nnr::WorkQueue(threads);
          },
          "threads"_a);

  nb::class_<DecodeTask>(m, "DecodeTask")
      .def(nb::init<std::vector<DecodeEntry>, nnr::WorkQueue*>(), "entries"_a, "workers"_a.none() = nb::none(),
           nb::keep_alive<1, 3>())
      .def("cancel", &DecodeTask::cancel)
      .def_prop_ro("block_row_counts", &DecodeTask::block_row_counts)
      .def("result", &DecodeTask::result);

  nb::class_<EncodeTask>(m, "EncodeTask")
      .def(nb::init<Weights, double, const nnr::TensorCoding&, const EncodeOptions&, std::optional<MutableLevels>,
                    nnr::WorkQueue*>(),
           "weights"_a, "step"_a, "coding"_a, "options"_a, "levels"_a = nb::none(), "workers"_a.none() = nb::none(),
           nb::keep_alive<1, 7>())
      .def("cancel", &EncodeTask::cancel)
      .def("result", &EncodeTask::result);
}
