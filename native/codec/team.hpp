// SPDX-License-Identifier: Apache-2.0
// Threads of one call that share the pieces of a unit. Each decodes units of its own; one that has none left takes pieces of the
// others' units.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace nnr {

class Team {
 public:
  // Counts a thread that is going to decode units, before it starts.
  void join() {
    const std::scoped_lock lock(mutex_);
    ++n_decoding_;
  }
  // Uncounts a thread that could not start.
  void leave() {
    const std::scoped_lock lock(mutex_);
    --n_decoding_;
    changed_.notify_all();
  }

  // Calls piece(i) for each i below `count`, on this thread and on those in help(). Returns when all calls are done.
  template <class Piece>
  void run(std::size_t count, Piece piece) {
    Job job;
    job.run = [](void* argument, std::size_t i) { (*static_cast<Piece*>(argument))(i); };
    job.argument = &piece;
    job.count = count;
    std::unique_lock lock(mutex_);
    job.next = jobs_;
    jobs_ = &job;
    changed_.notify_all();
    while (job.n_started < job.count) run_next(lock, job);
    while (job.n_done < job.count) changed_.wait(lock);
  }

  // For a counted thread that has no units left: takes pieces until no thread decodes units.
  void help() {
    leave();
    std::unique_lock lock(mutex_);
    while (n_decoding_ > 0)
      if (jobs_ != nullptr)
        run_next(lock, *jobs_);
      else
        changed_.wait(lock);
  }

 private:
  struct Job {
    void (*run)(void* argument, std::size_t piece) = nullptr;
    void* argument = nullptr;
    std::size_t count = 0;
    std::size_t n_started = 0;
    std::size_t n_done = 0;
    Job* next = nullptr;
  };

  // Runs the next piece of a job, with the lock released meanwhile.
  void run_next(std::unique_lock<std::mutex>& lock, Job& job) {
    const std::size_t piece = job.n_started++;
    if (job.n_started == job.count) remove(job);
    lock.unlock();
    job.run(job.argument, piece);
    lock.lock();
    if (++job.n_done == job.count) changed_.notify_all();
  }
  void remove(const Job& job) {
    Job** place = &jobs_;
    while (*place != &job) place = &(*place)->next;
    *place = job.next;
  }

  std::mutex mutex_;
  std::condition_variable changed_;  // a job started or ended, or a thread has no units left
  Job* jobs_ = nullptr;              // jobs with pieces not started, the latest first
  std::size_t n_decoding_ = 0;       // threads that may start jobs
};

}  // namespace nnr
