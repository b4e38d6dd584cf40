// SPDX-License-Identifier: Apache-2.0
// Jobs of tasks that Python starts.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <utility>

#include "nnr/work_queue.hpp"

namespace nnr_bindings {

// A job that runs on a queue, or without one in wait(). It must not move, because the queue refers to it.
class QueuedJob {
 public:
  QueuedJob() = default;
  QueuedJob(const QueuedJob&) = delete;
  QueuedJob& operator=(const QueuedJob&) = delete;
  // Blocks until no thread uses the arrays.
  ~QueuedJob() {
    if (queue_ != nullptr && state_ == State::kStarted) queue_->cancel(job_);
  }

  template <class Piece>
  void start(nnr::WorkQueue* queue, std::size_t count, std::size_t size, Piece&& piece) {
    job_.piece = std::forward<Piece>(piece);
    job_.count = count;
    job_.size = size;
    queue_ = queue;
    if (queue_ != nullptr) queue_->start(job_);
  }

  void wait() {
    if (state_ == State::kFinished) return;
    if (state_ == State::kCancelled) throw std::logic_error("the task was cancelled");
    const nanobind::gil_scoped_release release;
    if (queue_ != nullptr)
      queue_->wait(job_);
    else
      for (std::size_t i = 0; i < job_.count; ++i) job_.piece(i);
    state_ = State::kFinished;
  }

  // Drops the pieces not started, and waits for the others.
  void cancel() {
    if (state_ != State::kStarted) return;
    state_ = State::kCancelled;
    const nanobind::gil_scoped_release release;
    if (queue_ != nullptr) queue_->cancel(job_);
  }

 private:
  enum class State : std::uint8_t { kStarted, kFinished, kCancelled };

  nnr::WorkQueue::Job job_;
  nnr::WorkQueue* queue_ = nullptr;  // kept alive by nanobind
  State state_ = State::kStarted;
};

}  // namespace nnr_bindings
