// SPDX-License-Identifier: Apache-2.0
#include "nnr/work_queue.hpp"

#include <algorithm>
#include <stdexcept>
#include <system_error>
#include <utility>

#ifndef _WIN32
#include <unistd.h>
#endif

namespace nnr {

namespace {

long process_id() {
#ifdef _WIN32
  return 0;  // processes are not forked there
#else
  return static_cast<long>(getpid());
#endif
}

}  // namespace

WorkQueue::WorkQueue(int threads) : process_(process_id()) {
  try {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
  } catch (const std::system_error&) {
    // The system gives no more. What is done does not depend on their number.
  }
}

bool WorkQueue::is_forked() const { return process_id() != process_; }

WorkQueue::~WorkQueue() {
  if (is_forked()) {
    for (std::thread& thread : threads_) thread.detach();
    // A condition that threads wait at, which are gone, cannot be destroyed.
    static_cast<void>(meeting_.release());
    return;
  }
  {
    const std::lock_guard lock(meeting_->mutex);
    stopping_ = true;
  }
  meeting_->more.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkQueue::start(Work& work) {
  if (work.count == 0) return;
  {
    const std::lock_guard lock(meeting_->mutex);
    waiting_.push_back(&work);
  }
  if (work.count == 1)
    meeting_->more.notify_one();
  else
    meeting_->more.notify_all();
}

void WorkQueue::finish(Work& work) {
  if (is_forked()) throw std::runtime_error("work begun before a fork is done in the process that began it");
  std::unique_lock lock(meeting_->mutex);
  while (work.done < work.count)
    if (!do_next(lock, &work)) meeting_->less.wait(lock, [&] { return work.done == work.count || !waiting_.empty(); });
  if (work.fault) std::rethrow_exception(std::exchange(work.fault, nullptr));
}

void WorkQueue::abandon(Work& work) {
  if (is_forked()) return;
  std::unique_lock lock(meeting_->mutex);
  waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), &work), waiting_.end());
  meeting_->less.wait(lock, [&] { return work.done == work.begun; });
}

void WorkQueue::serve() {
  std::unique_lock lock(meeting_->mutex);
  while (!stopping_)
    if (!do_next(lock)) meeting_->more.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
}

bool WorkQueue::do_next(std::unique_lock<std::mutex>& lock, Work* own) {
  if (waiting_.empty()) return false;
  auto next = own == nullptr ? waiting_.end() : std::find(waiting_.begin(), waiting_.end(), own);
  if (next == waiting_.end())
    next = std::max_element(waiting_.begin(), waiting_.end(), [](const Work* a, const Work* b) { return a->size < b->size; });
  Work& work = **next;
  const std::size_t i = work.begun++;
  if (work.begun == work.count) waiting_.erase(next);
  lock.unlock();
  std::exception_ptr fault;
  try {
    work.piece(i);
  } catch (...) {
    fault = std::current_exception();
  }
  lock.lock();
  if (!work.fault) work.fault = std::move(fault);
  if (++work.done == work.begun) meeting_->less.notify_all();
  return true;
}

}  // namespace nnr
