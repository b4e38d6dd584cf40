// SPDX-License-Identifier: Apache-2.0
#include "tasks.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "nnr/payload.hpp"
#include "nnr/quantizer.hpp"
#include "nnr/work_queue.hpp"
#include "queued_job.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace nnr_bindings;

namespace {

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

  nb::class_<EncodeTask>(m, "EncodeTask")
      .def(nb::init<Weights, double, const nnr::TensorCoding&, const EncodeOptions&, std::optional<MutableLevels>,
                    nnr::WorkQueue*>(),
           "weights"_a, "step"_a, "coding"_a, "options"_a, "levels"_a = nb::none(), "workers"_a.none() = nb::none(),
           nb::keep_alive<1, 7>())
      .def("cancel", &EncodeTask::cancel)
      .def("result", &EncodeTask::result);
}
