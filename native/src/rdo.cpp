// SPDX-License-Identifier: Apache-2.0
#include "nnr/rdo.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "nnr/dependent_quantization.hpp"
#include "nnr/observer.hpp"
#include "nnr/quantizer.hpp"
#include "nnr/rdo_trellis.hpp"
#include "nnr/scan.hpp"
#include "nnr/shared_search.hpp"

namespace nnr {

namespace {

// A copy of an array in coding order; empty for a null array.
template <class T>
std::vector<T> in_coding_order(const T* values, const TensorCoding& coding) {
  std::vector<T> ordered;
  if (values == nullptr) return ordered;
  ordered.reserve(coding.size());
  for_each_segment_of_tensor(coding, [&](const Segment& segment) {
    ordered.insert(ordered.end(), values + segment.begin, values + segment.begin + segment.length);
  });
  return ordered;
}

// Calls piece(i) for each piece of a job, in the threads of a queue if there is one. `size` is as in WorkQueue::Job.
template <class Piece>
void for_each_piece(WorkQueue* queue, std::size_t count, std::size_t size, Piece&& piece) {
  if (queue == nullptr || count < 2) {
    for (std::size_t i = 0; i < count; ++i) piece(i);
    return;
  }
  WorkQueue::Job job;
  job.piece = piece;
  job.count = count;
  job.size = size;
  queue->start(job);
  queue->wait(job);
}

template <bool kDependent>
void quantize(const OrderedTensor& tensor, double step, const TensorCoding& coding, const RdoSettings& settings,
              std::int32_t* values) {
  RdoTrellis<kDependent>(tensor, step, coding, settings).run(values);
  if constexpr (kDependent) values_to_levels({values, static_cast<std::size_t>(coding.size())});
}

void quantize_shared(const OrderedTensor& tensor, double step, const TensorCoding& coding, const RdoSettings& settings,
                     std::int32_t* values) {
  // Bits of positive floats are in the order of their values, and compilers turn a maximum of integers into vector instructions.
  std::uint32_t largest = 0;
  for (std::uint64_t n = 0; n < coding.size(); ++n)
    largest = std::max(largest, std::bit_cast<std::uint32_t>(tensor.weights[n]) & 0x7FFFFFFFU);
  const SharedSearch search(tensor, step, coding, settings, std::bit_cast<float>(largest));
  const std::size_t blocks = search.blocks();
  std::vector<std::optional<SharedSearch::Start>> starts(blocks);
  for_each_piece(settings.queue, blocks, 1, [&](std::size_t block) { starts[block].emplace(search.start_of(block)); });
  for_each_piece(settings.queue, blocks, coding.size() / std::max<std::size_t>(blocks, 1), [&](std::size_t block) {
    search.run(block, *starts[block], block + 1 < blocks ? &*starts[block + 1] : nullptr, values);
    advance(search.begin_of(block + 1) - search.begin_of(block));
  });
  values_to_levels({values, static_cast<std::size_t>(coding.size())});
}

}  // namespace

std::size_t quantize_rdo(std::span<const float> weights, double step, const TensorCoding& coding, const RdoSettings& settings,
                         std::int32_t* levels) {
  assert(weights.size() == coding.size() && coding.codebook_size == 0 && settings.lambda >= 0 && settings.beam > 0);
  if (const std::size_t position = find_out_of_range(weights, step); position != weights.size()) return position;

  auto run = coding.dependent ? quantize<true> : quantize<false>;
  if (settings.interval > 0 && can_share_contexts(coding, settings.history_enabled)) run = quantize_shared;
  if (coding.block_side() == 0) {
    run({weights.data(), settings.importance, coding.base, coding.history}, step, coding, settings, levels);
    return weights.size();
  }
  const auto ordered_weights = in_coding_order(weights.data(), coding);
  const auto ordered_importance = in_coding_order(settings.importance, coding);
  const auto ordered_base = in_coding_order(coding.base, coding);
  const auto ordered_history = in_coding_order(coding.history, coding);
  const auto pointer = [](const auto& values) { return values.empty() ? nullptr : values.data(); };
  std::vector<std::int32_t> ordered_levels(weights.size());
  run({ordered_weights.data(), pointer(ordered_importance), pointer(ordered_base), pointer(ordered_history)}, step, coding,
      settings, ordered_levels.data());
  auto next = ordered_levels.cbegin();
  for_each_segment_of_tensor(coding, [&](const Segment& segment) {
    std::copy_n(next, segment.length, levels + segment.begin);
    next += static_cast<std::ptrdiff_t>(segment.length);
  });
  return weights.size();
}

}  // namespace nnr
