// SPDX-License-Identifier: Apache-2.0
#include "nnr/work_queue.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <system_error>
#include <utility>

#ifndef _WIN32
#include <unistd.h>
#endif

namespace nnr {

namespace {

constexpr std::chrono::milliseconds kReportInterval{100};

long process_id() {
#ifdef _WIN32
  return 0;  // there is no fork
#else
  return static_cast<long>(getpid());
#endif
}

}  // namespace

WorkQueue::WorkQueue(int threads) : process_(process_id()) {
  try {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
    // The system allows no more threads. Results do not depend on their number.
  }
}

bool WorkQueue::is_forked() const { return process_id() != process_; }

WorkQueue::~WorkQueue() {
  if (is_forked()) {
    for (std::thread& thread : threads_) thread.detach();
    // Leaked: destroying a condition variable that the parent's threads wait on is undefined.
    static_cast<void>(sync_.release());
    return;
  }
  {
    const std::scoped_lock lock(sync_->mutex);
    stopping_ = true;
  }
  sync_->available.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkQueue::start(Job& job) {
  if (job.count == 0) return;
  {
    const std::scoped_lock lock(sync_->mutex);
    waiting_.push_back(&job);
  }
  if (job.count == 1)
    sync_->available.notify_one();
  else
    sync_->available.notify_all();
}

void WorkQueue::wait(Job& job) {
  if (is_forked()) throw std::runtime_error("a job started before a fork finishes only in the process that started it");
  std::unique_lock lock(sync_->mutex);
  while (job.n_done < job.count) {
    if (run_next(lock, &job)) continue;
    if (sync_->finished.wait_for(lock, kReportInterval, [&] { return job.n_done == job.count || !waiting_.empty(); })) continue;
    lock.unlock();
    try {
      advance(0);
    } catch (...) {
      cancel(job);
      throw;
    }
    lock.lock();
  }
  if (!job.fault) return;
  try {
    std::rethrow_exception(std::exchange(job.fault, nullptr));
  } catch (const Stopped&) {
    // The cause may have come from another job that this thread helped with.
    if (observer_of_thread != nullptr) observer_of_thread->rethrow_cause();
    throw;
  }
}

void WorkQueue::cancel(Job& job) {
  if (is_forked()) return;
  std::unique_lock lock(sync_->mutex);
  waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), &job), waiting_.end());
  sync_->finished.wait(lock, [&] { return job.n_done == job.n_started; });
}

void WorkQueue::serve() {
  std::unique_lock lock(sync_->mutex);
  while (!stopping_)
    if (!run_next(lock)) sync_->available.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
}

bool WorkQueue::run_next(std::unique_lock<std::mutex>& lock, Job* preferred) {
  if (waiting_.empty()) return false;
  auto next = preferred == nullptr ? waiting_.end() : std::find(waiting_.begin(), waiting_.end(), preferred);
  if (next == waiting_.end())
    next = std::max_element(waiting_.begin(), waiting_.end(), [](const Job* a, const Job* b) { return a->size < b->size; });
  Job& job = **next;
  const std::size_t i = job.n_started++;
  if (job.n_started == job.count) waiting_.erase(next);
  lock.unlock();
  std::exception_ptr fault;
  try {
    const ObservedScope observed(job.observer);
    job.piece(i);
  } catch (...) {
    fault = std::current_exception();
  }
  lock.lock();
  if (!job.fault) job.fault = std::move(fault);
  if (++job.n_done == job.n_started) sync_->finished.notify_all();
  return true;
}

}  // namespace nnr
