// SPDX-License-Identifier: Apache-2.0
#include "batches.hpp"

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

// Pieces of work on a queue, or without one done where the result is asked for, by one thread. Its Python object must not be
// moved or copied.
class Begun {
 public:
  Begun() = default;
  Begun(const Begun&) = delete;
  Begun& operator=(const Begun&) = delete;
  // The arrays must stay until no thread uses them.
  ~Begun() {
    if (queue_ != nullptr && state_ == State::kBegun) queue_->abandon(work_);
  }

  template <class Piece>
  void begin(nnr::WorkQueue* queue, std::size_t count, std::size_t size, Piece&& piece) {
    work_.piece = std::forward<Piece>(piece);
    work_.count = count;
    work_.size = size;
    queue_ = queue;
    if (queue_ != nullptr) queue_->start(work_);
  }

  void finish() {
    if (state_ == State::kFinished) return;
    if (state_ == State::kCancelled) throw std::logic_error("the work was given up");
    const nb::gil_scoped_release release;
    if (queue_ != nullptr)
      queue_->finish(work_);
    else
      for (std::size_t i = 0; i < work_.count; ++i) work_.piece(i);
    state_ = State::kFinished;
  }

  // Gives up what is not begun, and waits for what is.
  void cancel() {
    if (state_ != State::kBegun) return;
    state_ = State::kCancelled;
    const nb::gil_scoped_release release;
    if (queue_ != nullptr) queue_->abandon(work_);
  }

 private:
  enum class State : std::uint8_t { kBegun, kFinished, kCancelled };

  nnr::WorkQueue::Work work_;
  nnr::WorkQueue* queue_ = nullptr;  // kept alive by nanobind
  State state_ = State::kBegun;
};

// (position, offset, state) of a block row.
using EntryPoint = std::tuple<std::int64_t, std::uint32_t, int>;
// (payload, codings, levels, quantization, entry points): without quantization the levels stay what they are.
using DecodingEntry = std::tuple<Bytes, std::vector<nnr::TensorCoding>, std::vector<MutableLevels>,
                                 std::optional<nnr::Quantization>, std::vector<EntryPoint>>;

class DecodingPayloads {
 public:
  DecodingPayloads(std::vector<DecodingEntry> entries, nnr::WorkQueue* queue)
      : entries_(std::move(entries)), payloads_(entries_.size()) {
    std::size_t longest = 0;  // in bytes, which tell the time better than weights do
    for (std::size_t n = 0; n < entries_.size(); ++n) {
      const auto& [payload, codings, levels, quantization, points] = entries_[n];
      if (codings.empty() || codings.size() != levels.size()) throw nb::value_error("one levels array per tensor is needed");
      Payload& own = payloads_[n];
      for (std::size_t i = 0; i < codings.size(); ++i) {
        require_size(levels[i].size(), codings[i]);
        own.levels.push_back(levels[i].data());
      }
      own.side.resize(codings.size());
      if (queue != nullptr && codings.size() == 1 && !points.empty()) {
        const nb::gil_scoped_release release;  // what stands before the first row may be long
        own.rows.emplace(span_of(payload), codings[0], starts_of(points));
        if (own.rows->count() == 0) own.rows.reset();
      }
      const std::size_t pieces = own.rows ? own.rows->count() : 1;
      for (std::size_t i = 0; i < pieces; ++i) pieces_.push_back({n, i});
      longest = std::max(longest, payload.size() / pieces);
    }
    begun_.begin(queue, pieces_.size(), longest, [this](std::size_t i) { decode(pieces_[i]); });
  }

  void cancel() { begun_.cancel(); }

  // How many payloads were shared by threads, and how many of them had to be decoded again; known after result().
  [[nodiscard]] nb::tuple in_rows() const { return nb::make_tuple(in_rows_, again_); }

  // Per payload its status, or None, and its tensors' qp_value. Called once, by one thread.
  nb::list result() {
    begun_.finish();
    settle();
    nb::list results;
    for (const Payload& own : payloads_) {
      nb::list qp_values;
      for (const nnr::TensorSideData& side : own.side) qp_values.append(side.qp_value);
      results.append(nb::make_tuple(own.status.ok() ? nb::object(nb::none()) : nb::object(status_tuple(own.status)), qp_values));
    }
    return results;
  }

 private:
  struct Payload {
    std::vector<std::int32_t*> levels;
    std::vector<nnr::TensorSideData> side;
    nnr::Status status;
    std::optional<nnr::BlockRows> rows;
  };
  struct Piece {
    std::size_t payload;
    std::size_t of_rows;  // which piece of a payload in rows
  };

  static std::vector<nnr::BlockRowStart> starts_of(const std::vector<EntryPoint>& points) {
    std::vector<nnr::BlockRowStart> starts;
    for (const auto& [position, offset, state] : points) starts.push_back({static_cast<std::uint64_t>(position), offset, state});
    return starts;
  }

  void decode(const Piece& piece) {
    Payload& own = payloads_[piece.payload];
    if (!own.rows) return decode_whole(piece.payload);
    if (own.rows->decode(piece.of_rows, own.levels[0]))
      make_values(piece.payload, 0, own.rows->side(), own.rows->levels_of(piece.of_rows, own.levels[0]));
  }

  void decode_whole(std::size_t n) {
    const auto& [payload, codings, levels, quantization, points] = entries_[n];
    Payload& own = payloads_[n];
    own.status = nnr::decode_payload(span_of(payload), codings, own.levels, own.side);
    if (!own.status.ok()) return;
    for (std::size_t i = 0; i < codings.size(); ++i) make_values(n, i, own.side[i], {own.levels[i], codings[i].size()});
  }

  // The levels of tensors without a codebook become values, in place.
  void make_values(std::size_t n, std::size_t tensor, const nnr::TensorSideData& side, std::span<std::int32_t> levels) const {
    const auto& [payload, codings, own, quantization, points] = entries_[n];
    if (!quantization || codings[tensor].codebook_size > 0) return;
    const double step =
        nnr::step_size(std::int64_t{side.qp_value} + quantization->quantization_parameter, quantization->qp_density);
    nnr::dequantize(levels, step, levels.data());
  }

  // Where entry points were wrong all of it is decoded again, straight through.
  void settle() {
    const nb::gil_scoped_release release;
    for (std::size_t n = 0; n < payloads_.size(); ++n) {
      Payload& own = payloads_[n];
      if (!own.rows) continue;
      ++in_rows_;
      if (own.rows->are_right()) {
        own.side[0] = own.rows->side();
      } else {
        ++again_;
        decode_whole(n);
      }
      own.rows.reset();
    }
  }

  std::vector<DecodingEntry> entries_;
  std::vector<Payload> payloads_;
  std::vector<Piece> pieces_;
  std::size_t in_rows_ = 0;
  std::size_t again_ = 0;
  Begun begun_;  // the first to go: it waits for the threads
};

// One tensor's weights to dependent quantisation's levels, and those to a codeword.
class EncodingWeights {
 public:
  EncodingWeights(Weights weights, double step, const nnr::TensorCoding& coding, const Choices& choices,
                  std::optional<MutableLevels> levels, nnr::WorkQueue* queue)
      : weights_(std::move(weights)), step_(step), coding_(coding), choices_(choices), levels_(std::move(levels)) {
    require_size(weights_.size(), coding_);
    if (levels_) require_size(levels_->size(), coding_);
    begun_.begin(queue, 1, weights_.size(), [this](std::size_t) { encode(); });
  }

  void cancel() { begun_.cancel(); }

  // The first weight that is out of range, or their number; status; codeword; starts of block rows.
  nb::tuple result() {
    begun_.finish();
    const nb::list starts =
        starts_list(encoded_.block_row_starts.empty() ? std::vector<nnr::BlockRowStart>() : encoded_.block_row_starts[0]);
    return nb::make_tuple(quantized_, status_tuple(status_), bytes_of(encoded_.bytes), starts);
  }

 private:
  void encode() {
    // Where nobody wants the levels they are no longer than the work.
    const std::unique_ptr<std::int32_t[]> own(levels_ ? nullptr : new std::int32_t[weights_.size()]);
    std::int32_t* const levels = levels_ ? levels_->data() : own.get();
    quantized_ = nnr::quantize_dependent(span_of(weights_), step_, coding_, levels);
    if (quantized_ != weights_.size()) return;
    const std::int32_t* const input = levels;
    nnr::TensorChoices choices = choices_.for_levels(coding_, input);
    if (choices_.search) status_ = nnr::search_initialisations(coding_, input, choices);
    if (status_.ok()) status_ = nnr::encode_payload({&coding_, 1}, {&input, 1}, {&choices, 1}, encoded_);
  }

  Weights weights_;
  double step_;
  nnr::TensorCoding coding_;
  Choices choices_;
  std::optional<MutableLevels> levels_;
  std::size_t quantized_ = 0;
  nnr::Status status_;
  nnr::EncodedPayload encoded_;
  Begun begun_;  // the first to go: it waits for the threads
};

}  // namespace

void register_batches(nb::module_& m) {
  nb::class_<nnr::WorkQueue>(m, "Workers")
      .def(
          "__init__",
          [](nnr::WorkQueue* self, int threads) {
            if (threads < 0 || threads > 1024) throw nb::value_error("threads are 0..1024");
            new (self) nnr::WorkQueue(threads);
          },
          "threads"_a);

  nb::class_<DecodingPayloads>(m, "DecodingPayloads")
      .def(nb::init<std::vector<DecodingEntry>, nnr::WorkQueue*>(), "entries"_a, "workers"_a.none() = nb::none(),
           nb::keep_alive<1, 3>())
      .def("cancel", &DecodingPayloads::cancel)
      .def_prop_ro("in_rows", &DecodingPayloads::in_rows)
      .def("result", &DecodingPayloads::result);

  nb::class_<EncodingWeights>(m, "EncodingWeights")
      .def(nb::init<Weights, double, const nnr::TensorCoding&, const Choices&, std::optional<MutableLevels>, nnr::WorkQueue*>(),
           "weights"_a, "step"_a, "coding"_a, "choices"_a, "levels"_a = nb::none(), "workers"_a.none() = nb::none(),
           nb::keep_alive<1, 7>())
      .def("cancel", &EncodingWeights::cancel)
      .def("result", &EncodingWeights::result);
}
