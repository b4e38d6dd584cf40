// SPDX-License-Identifier: Apache-2.0
// Threads of one call that share the pieces of a unit. Each decodes units of its own; one that has none left takes pieces of the
// others' units.
#pragma once

#include <cstddef>

#include "thread.hpp"

namespace nnr {

class Team {
 public:
  // Counts a thread that is going to decode units, before it starts.
  void join() {
    monitor_.lock();
    ++n_decoding_;
    monitor_.unlock();
  }
  // Uncounts a thread that could not start.
  void leave() {
    monitor_.lock();
    --n_decoding_;
    monitor_.notify_all();
    monitor_.unlock();
  }

  // Calls piece(i) for each i below `count`, on this thread and on those in help(). Returns when all calls are done.
  template <class Piece>
  void run(std::size_t count, Piece piece) {
    Job job;
    job.run = [](void* argument, std::size_t i) { (*static_cast<Piece*>(argument))(i); };
    job.argument = &piece;
    job.count = count;
    monitor_.lock();
    job.next = jobs_;
    jobs_ = &job;
    monitor_.notify_all();
    while (job.n_started < job.count) run_next(job);
    while (job.n_done < job.count) monitor_.wait();
    monitor_.unlock();
  }

  // For a counted thread that has no units left: takes pieces until no thread decodes units.
  void help() {
    leave();
    monitor_.lock();
    while (n_decoding_ > 0)
      if (jobs_ != nullptr)
        run_next(*jobs_);
      else
        monitor_.wait();
    monitor_.unlock();
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

  // Runs the next piece of a job, unlocked meanwhile.
  void run_next(Job& job) {
    const std::size_t piece = job.n_started++;
    if (job.n_started == job.count) remove(job);
    monitor_.unlock();
    job.run(job.argument, piece);
    monitor_.lock();
    if (++job.n_done == job.count) monitor_.notify_all();
  }
  void remove(const Job& job) {
    Job** place = &jobs_;
    while (*place != &job) place = &(*place)->next;
    *place = job.next;
  }

  Monitor monitor_;             // notified when a job starts or ends, or a thread has no units left
  Job* jobs_ = nullptr;         // jobs with pieces not started, the latest first
  std::size_t n_decoding_ = 0;  // threads that may start jobs
};

}  // namespace nnr
