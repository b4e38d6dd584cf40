// SPDX-License-Identifier: Apache-2.0
#include "nnr/work_queue.hpp"

#include <algorithm>

namespace nnr {

WorkQueue::WorkQueue(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
}

WorkQueue::~WorkQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  more_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkQueue::start(Work& work) {
  if (work.count == 0) return;
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(&work);
  }
  if (work.count == 1)
    more_.notify_one();
  else
    more_.notify_all();
}

void WorkQueue::finish(Work& work) {
  std::unique_lock lock(mutex_);
  while (work.done < work.count)
    if (!do_next(lock)) less_.wait(lock, [&] { return work.done == work.count || !waiting_.empty(); });
}

void WorkQueue::abandon(Work& work) {
  std::unique_lock lock(mutex_);
  waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), &work), waiting_.end());
  less_.wait(lock, [&] { return work.done == work.begun; });
}

void WorkQueue::serve() {
  std::unique_lock lock(mutex_);
  while (!stopping_)
    if (!do_next(lock)) more_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
}

bool WorkQueue::do_next(std::unique_lock<std::mutex>& lock) {
  if (waiting_.empty()) return false;
  Work& work = *waiting_.front();
  const std::size_t i = work.begun++;
  if (work.begun == work.count) waiting_.pop_front();
  lock.unlock();
  work.piece(i);
  lock.lock();
  if (++work.done == work.begun) less_.notify_all();
  return true;
}

}  // namespace nnr
