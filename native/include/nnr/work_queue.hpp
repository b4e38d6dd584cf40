// SPDX-License-Identifier: Apache-2.0
// Independent pieces of work for a few threads, the waiting caller's own among them. What a piece does must not depend on when or
// where it is done.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace nnr {

class WorkQueue {
 public:
  // `count` pieces; piece(i) does the i-th. Its owner keeps it in place from start() until finish() returns or throws, or
  // abandon() returns.
  struct Work {
    std::function<void(std::size_t)> piece;
    std::size_t count = 0;
    std::size_t size = 0;  // what a piece takes, beside those of other works: the longest are begun first
    std::size_t begun = 0;
    std::size_t done = 0;
    std::exception_ptr fault;  // the first that a piece threw
  };

  // So many threads beside the callers of finish(), or as many as there can be; with none, all is done there.
  explicit WorkQueue(int threads);
  // All work is finished or abandoned. In a forked process there are no threads to wait for.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Lets the threads begin. They take the longest piece there is: one that was begun last would be waited for by one thread
  // alone.
  void start(Work& work);
  // Returns when all of it is done, and throws then what one of its pieces threw. The caller's thread does pieces too: its own,
  // and others' while the last of its own is being done elsewhere: the longest then too, for results can wait a little and the
  // threads should end together. Throws in a forked process.
  void finish(Work& work);
  // Returns when none of its pieces is being done; those not begun are given up. In a forked process none is being done.
  void abandon(Work& work);

 private:
  // Threads do not survive a fork, nor does what they were doing.
  [[nodiscard]] bool is_forked() const;
  void serve();
  // Does the next piece of `own`, or of the work with the longest pieces, with the lock given up meanwhile; false when there is
  // none.
  bool do_next(std::unique_lock<std::mutex>& lock, Work* own = nullptr);

  struct Meeting {
    std::mutex mutex;
    std::condition_variable more;  // work was started, or it is time to stop
    std::condition_variable less;  // the last piece of some work is done
  };

  std::unique_ptr<Meeting> meeting_ = std::make_unique<Meeting>();
  std::vector<Work*> waiting_;  // with pieces not begun
  bool stopping_ = false;
  const long process_;
  std::vector<std::thread> threads_;
};

}  // namespace nnr
