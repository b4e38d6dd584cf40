// SPDX-License-Identifier: Apache-2.0
#include "model_decoder.hpp"

#include <atomic>

#include "deadline.hpp"
#include "faults.hpp"
#include "stream_decoder.hpp"
#include "team.hpp"
#include "thread.hpp"

namespace nnr {

namespace {

constexpr std::uint32_t kMaxThreads = 256;

// What the threads of one call share.
struct Shared {
  std::span<const std::uint8_t> stream;
  Deadline deadline;
  std::atomic<std::uint64_t> n_claimed = 0;             // data units that a thread has claimed, in order
  std::atomic<std::uint64_t> first_fault = UINT64_MAX;  // the least order of a fault so far
  Team team;
};

struct Worker {
  explicit Worker(const nnr_options& all) : options(all), list(all), decoder(options) { list.is_list = true; }

  // Walks over the stream, then helps other threads.
  void run();
  void walk();
  [[nodiscard]] Fault read();
  // Reads the current unit or carried tensor, if it is this thread's; false after a fault.
  [[nodiscard]] bool take_current();
  void stop(const Fault& reason, std::uint64_t order);

  nnr_options options;
  nnr_model list;
  nnr_model* sink = &list;
  StreamDecoder decoder;
  Shared* shared = nullptr;
  bool is_first = false;
  bool is_alone = false;
  Thread thread;
  std::uint64_t n_units = 0;  // data units that the walk has passed
  std::uint64_t claim = 0;    // the next one to decode

  // A fault of the header behind n data units has order 2 n, one of the n-th payload 2 n + 1.
  LocatedFault result;
  std::uint64_t fault_order = UINT64_MAX;
};

void Worker::stop(const Fault& reason, std::uint64_t order) {
  result = {reason, decoder.unit_index()};
  fault_order = order;
  std::uint64_t least = shared->first_fault.load();
  while (order < least && !shared->first_fault.compare_exchange_weak(least, order)) {
  }
}

Fault Worker::read() {
  constexpr std::size_t kMost = 9;
  void* values[kMost] = {};
  const nnr_allocator& allocator = options.allocator;
  const std::span<const nnr_tensor> tensors = decoder.tensors();
  Fault fault;
  for (std::size_t i = 0; i < tensors.size() && fault.status == NNR_OK; ++i) {
    const std::uint64_t n_bytes = tensors[i].n_bytes;
    if (n_bytes < SIZE_MAX / 2)
      values[i] = allocator.allocate(allocator.opaque, n_bytes == 0 ? 1 : static_cast<std::size_t>(n_bytes));
    if (values[i] == nullptr) fault = out_of_memory();
  }
  if (fault.status == NNR_OK) fault = decoder.read(NNR_VALUES, values);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (fault.status == NNR_OK) {
      nnr_tensor tensor = tensors[i];
      tensor.values = values[i];
      if (!sink->add(tensor)) fault = out_of_memory();
    } else if (values[i] != nullptr) {
      allocator.release(allocator.opaque, values[i]);
    }
  }
  return fault;
}

bool Worker::take_current() {
  const bool is_carried = decoder.tensors()[0].coding == NNR_CODING_CARRIED;
  // Updates refer to units before them.
  const bool in_order = is_alone || is_carried || decoder.is_update();
  const bool is_mine = in_order ? is_first : n_units == claim;
  const std::uint64_t order = is_carried ? 2 * n_units : 2 * n_units + 1;
  if (is_mine) {
    if (const Fault fault = read(); fault.status != NNR_OK) {
      stop(fault, order);
      return false;
    }
    if (!in_order) claim = shared->n_claimed.fetch_add(1);
  }
  if (!is_carried) ++n_units;
  return true;
}

void Worker::run() {
  walk();
  if (!is_alone) shared->team.help();
}

void Worker::walk() {
  if (!is_first) decoder.skip_carried();
  Fault fault = decoder.open(shared->stream);
  decoder.share_deadline(shared->deadline);
  if (!is_alone) claim = shared->n_claimed.fetch_add(1);
  while (fault.status == NNR_OK && shared->first_fault.load(std::memory_order_relaxed) >= 2 * n_units) {
    fault = decoder.next();
    if (fault.status != NNR_OK) break;
    if (!is_first && decoder.is_update()) return;
    if (!take_current()) return;
  }
  if (fault.status != NNR_OK && fault.status != NNR_END) stop(fault, 2 * n_units);
}

void run_worker(void* worker) { static_cast<Worker*>(worker)->run(); }

// Moves the tensors of all lists into the model, in the order of their units.
bool merge(std::span<Worker* const> workers, nnr_model& model) {
  std::size_t next[kMaxThreads] = {};
  while (true) {
    std::size_t least = workers.size();
    for (std::size_t i = 0; i < workers.size(); ++i) {
      if (next[i] == workers[i]->list.tensors.size()) continue;
      const auto unit_of = [&](std::size_t j) { return workers[j]->list.tensors[next[j]].unit; };
      if (least == workers.size() || unit_of(i) < unit_of(least)) least = i;
    }
    if (least == workers.size()) return true;
    if (!model.take(workers[least]->list, next[least]++)) return false;
  }
}

LocatedFault decode_threaded(std::span<const std::uint8_t> stream, nnr_model& model) {
  Shared shared;
  shared.stream = stream;
  shared.deadline.start(model.options.max_seconds);
  Worker* workers[kMaxThreads] = {};
  const std::size_t wanted = std::clamp<std::size_t>(model.options.threads, 1, kMaxThreads);
  std::size_t n_workers = 0;
  for (; n_workers < wanted; ++n_workers) {
    Worker* const worker = workers[n_workers] = create<Worker>(model.options);
    if (worker == nullptr) break;
    worker->shared = &shared;
    worker->is_first = n_workers == 0;
    worker->is_alone = wanted == 1;
    if (worker->is_alone) {
      worker->sink = &model;
    } else {
      worker->decoder.share_pieces(shared.team);
      shared.team.join();
    }
    // The calling thread is the first one. If the system allows fewer threads, they do the work.
    if (worker->is_first || worker->thread.start(run_worker, worker)) continue;
    shared.team.leave();
    destroy(worker);
    break;
  }
  if (n_workers == 0) return {out_of_memory(), 0};
  workers[0]->run();
  LocatedFault first;
  std::uint64_t order = UINT64_MAX;
  for (std::size_t i = 0; i < n_workers; ++i) {
    if (i > 0) workers[i]->thread.join();
    if (workers[i]->fault_order >= order) continue;
    order = workers[i]->fault_order;
    first = workers[i]->result;
  }
  if (first.fault.status == NNR_OK && wanted > 1 && !merge({workers, n_workers}, model)) first = {out_of_memory(), 0};
  for (std::size_t i = 0; i < n_workers; ++i) destroy(workers[i]);
  return first;
}

}  // namespace

LocatedFault decode_model(std::span<const std::uint8_t> stream, nnr_model& model) {
  if (model.options.recompose == 0) return decode_threaded(stream, model);
  auto* const parts = create<nnr_model>(model.options);
  if (parts == nullptr) return {out_of_memory(), 0};
  LocatedFault result = decode_threaded(stream, *parts);
  if (result.fault.status == NNR_OK && !recompose(*parts, model)) result = {out_of_memory(), 0};
  destroy(parts);
  return result;
}

}  // namespace nnr
