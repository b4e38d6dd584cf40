// SPDX-License-Identifier: Apache-2.0
// A thread pool for jobs of independent pieces. The thread that waits for a job takes pieces as well.
//
// The result of a piece must not depend on the thread or the time at which it runs.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "nnr/observer.hpp"

namespace nnr {

class WorkQueue {
 public:
  // A job of `count` pieces; piece(i) runs the i-th. Its owner keeps it in place from start() until wait() returns or throws, or
  // until cancel() returns.
  struct Job {
    std::function<void(std::size_t)> piece;
    std::size_t count = 0;
    std::size_t size = 0;                     // duration of a piece relative to those of other jobs: the longest start first
    Observer* observer = observer_of_thread;  // of the thread that made the job, for all its pieces
    std::size_t n_started = 0;
    std::size_t n_done = 0;
    std::exception_ptr fault;  // the first exception of a piece
  };

  // Starts `threads` threads beside those that call wait(), or as many as the system allows. With none, all pieces run in wait().
  explicit WorkQueue(int threads);
  // Every job is finished or cancelled. In a forked process there are no threads to join.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Queues a job. Threads take the longest piece available, so that no long piece starts last and runs alone.
  void start(Job& job);
  // Returns when every piece is done, and rethrows the first exception of one. The calling thread runs pieces too: those of `job`
  // first, then the longest of other jobs while the last pieces of `job` run elsewhere. While there are none, its observer is
  // told every tenth of a second that it waits. Throws in a forked process.
  void wait(Job& job);
  // Returns when no piece is running; pieces not started are dropped. In a forked process no piece is running.
  void cancel(Job& job);

 private:
  // Threads do not survive a fork.
  [[nodiscard]] bool is_forked() const;
  void serve();
  // Runs the next piece of `preferred`, or else of the job with the longest pieces, with the lock released meanwhile. Returns
  // false when there is none.
  bool run_next(std::unique_lock<std::mutex>& lock, Job* preferred = nullptr);

  struct Synchronisation {
    std::mutex mutex;
    std::condition_variable available;  // a job was started, or the queue stops
    std::condition_variable finished;   // the last started piece of a job is done
  };

  std::unique_ptr<Synchronisation> sync_ = std::make_unique<Synchronisation>();
  std::vector<Job*> waiting_;  // jobs with pieces not started
  bool stopping_ = false;
  const long process_;  // in which the threads were started
  std::vector<std::thread> threads_;
};

}  // namespace nnr
