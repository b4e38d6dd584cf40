// SPDX-License-Identifier: Apache-2.0
// Tests of WorkQueue: every piece runs once, on any thread, and none runs after its job was cancelled.
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "expect.hpp"
#include "nnr/work_queue.hpp"

namespace {

using test::expect;

constexpr std::size_t kJobs = 50;

struct Counted {
  std::array<std::atomic<int>, 7> pieces{};
  nnr::WorkQueue::Job job;

  explicit Counted(std::size_t count) {
    job.count = count;
    job.piece = [this](std::size_t i) { ++pieces[i]; };
  }
};

void test_start_wait_cancel(int threads) {
  std::vector<std::unique_ptr<Counted>> all;
  const auto n_threads = static_cast<std::size_t>(threads);
  nnr::WorkQueue queue(threads);
  for (std::size_t n = 0; n < kJobs; ++n) {
    all.push_back(std::make_unique<Counted>(n % 8));
    queue.start(all.back()->job);
  }
  // Every third job is cancelled. The others are waited for from the last to the first.
  for (std::size_t n = 0; n < kJobs; n += 3) queue.cancel(all[n]->job);
  for (std::size_t n = kJobs; n-- > 0;)
    if (n % 3 != 0) queue.wait(all[n]->job);
  for (std::size_t n = 0; n < kJobs; ++n) {
    std::size_t n_done = 0;
    for (const std::atomic<int>& times : all[n]->pieces) {
      expect(times <= 1, "runs of a piece", n_threads);
      n_done += static_cast<std::size_t>(times);
    }
    expect(n_done == all[n]->job.n_done, "count of pieces done", n_threads);
    expect(n % 3 == 0 || n_done == n % 8, "all pieces", n_threads);
  }
}

// wait() rethrows the exception of a piece, whichever thread ran it, and other jobs go on.
void test_faults(int threads) {
  const auto n_threads = static_cast<std::size_t>(threads);
  nnr::WorkQueue queue(threads);
  nnr::WorkQueue::Job failing;
  failing.count = 5;
  failing.piece = [](std::size_t i) {
    if (i % 2 == 1) throw std::length_error("piece");
  };
  Counted other(7);
  queue.start(failing);
  queue.start(other.job);
  queue.wait(other.job);
  bool thrown = false;
  try {
    queue.wait(failing);
  } catch (const std::length_error&) {
    thrown = true;
  }
  expect(thrown, "rethrown exception", n_threads);
  expect(failing.n_done == failing.count, "all pieces of a failing job", n_threads);

  nnr::WorkQueue::Job cancelled;
  cancelled.count = 3;
  cancelled.piece = failing.piece;
  queue.start(cancelled);
  queue.cancel(cancelled);
  expect(cancelled.n_done == cancelled.n_started, "no running piece of a cancelled job", n_threads);
}

// A free thread takes the longest piece available.
void test_longest_first() {
  std::atomic<bool> all_started{false};
  std::atomic<std::size_t> n_run{0};
  std::array<std::size_t, 5> order{};
  nnr::WorkQueue queue(1);
  nnr::WorkQueue::Job busy;
  busy.count = 1;
  busy.size = 100;
  busy.piece = [&](std::size_t) {
    while (!all_started) std::this_thread::yield();
  };
  queue.start(busy);
  std::array<nnr::WorkQueue::Job, 5> jobs;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    jobs[i].count = 1;
    jobs[i].size = std::array<std::size_t, 5>{3, 1, 4, 1, 5}[i];
    jobs[i].piece = [&, i](std::size_t) {
      const std::size_t k = n_run;
      order[k] = i;
      n_run = k + 1;  // publishes order[k]
    };
    queue.start(jobs[i]);
  }
  all_started = true;
  // All by the one worker: wait() would run some of them on this thread.
  while (n_run < jobs.size()) std::this_thread::yield();
  expect(order == std::array<std::size_t, 5>{4, 2, 0, 1, 3}, "the longest first, else in order of start()", 0);
  queue.wait(busy);
  for (nnr::WorkQueue::Job& job : jobs) queue.wait(job);
}

}  // namespace

int main() {
  test_longest_first();
  for (int round = 0; round < 50; ++round)
    for (const int threads : {0, 1, 2, 5}) {
      test_start_wait_cancel(threads);
      test_faults(threads);
    }
  return test::report("work queue");
}
