// SPDX-License-Identifier: Apache-2.0
// Independent pieces of work for a few threads, the waiting caller's own among them. What a piece does must not depend on when or
// where it is done.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace nnr {

class WorkQueue {
 public:
  // `count` pieces; piece(i) does the i-th. Its owner keeps it in place from start() until finish() or abandon() returns.
  struct Work {
    std::function<void(std::size_t)> piece;
    std::size_t count = 0;
    std::size_t begun = 0;
    std::size_t done = 0;
  };

  // So many threads beside the callers of finish(); with none, all is done there.
  explicit WorkQueue(int threads);
  // All work is finished or abandoned.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Lets the threads begin, after what was started before.
  void start(Work& work);
  // Returns when all of it is done. The caller's thread does pieces too, its own and those that were started before.
  void finish(Work& work);
  // Returns when none of its pieces is being done; those not begun are given up.
  void abandon(Work& work);

 private:
  void serve();
  // Does the next piece there is, with the lock given up meanwhile; false when there is none.
  bool do_next(std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  std::condition_variable more_;  // work was started, or it is time to stop
  std::condition_variable less_;  // the last piece of some work is done
  std::deque<Work*> waiting_;     // with pieces not begun
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace nnr
