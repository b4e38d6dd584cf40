// SPDX-License-Identifier: Apache-2.0
// Every piece is done once, whoever does it, and none after its work was given up.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "nnr/work_queue.hpp"

namespace {

int failures = 0;

void expect(bool holds, const char* what, int at) {
  if (holds) return;
  if (++failures <= 20) std::fprintf(stderr, "failed: %s at %d\n", what, at);
}

constexpr std::size_t kWorks = 50;

struct Counted {
  std::array<std::atomic<int>, 7> pieces{};
  nnr::WorkQueue::Work work;

  explicit Counted(std::size_t count) {
    work.count = count;
    work.piece = [this](std::size_t i) { ++pieces[i]; };
  }
};

void test(int threads) {
  std::vector<std::unique_ptr<Counted>> all;
  nnr::WorkQueue queue(threads);
  for (std::size_t n = 0; n < kWorks; ++n) {
    all.push_back(std::make_unique<Counted>(n % 8));
    queue.start(all.back()->work);
  }
  // In any order: every third is given up, the others are finished from the last one on.
  for (std::size_t n = 0; n < kWorks; n += 3) queue.abandon(all[n]->work);
  for (std::size_t n = kWorks; n-- > 0;)
    if (n % 3 != 0) queue.finish(all[n]->work);
  for (std::size_t n = 0; n < kWorks; ++n) {
    std::size_t done = 0;
    for (const std::atomic<int>& times : all[n]->pieces) {
      expect(times <= 1, "a piece was done again", threads);
      done += static_cast<std::size_t>(times);
    }
    expect(done == all[n]->work.done, "pieces done", threads);
    expect(n % 3 == 0 || done == n % 8, "all pieces", threads);
  }
}

// What a piece throws comes out where its work is finished, whoever did it, and nobody waits for ever.
void test_faults(int threads) {
  nnr::WorkQueue queue(threads);
  nnr::WorkQueue::Work failing;
  failing.count = 5;
  failing.piece = [](std::size_t i) {
    if (i % 2 == 1) throw std::length_error("piece");
  };
  Counted behind(7);
  queue.start(failing);
  queue.start(behind.work);
  queue.finish(behind.work);
  bool thrown = false;
  try {
    queue.finish(failing);
  } catch (const std::length_error&) {
    thrown = true;
  }
  expect(thrown, "the fault comes out", threads);
  expect(failing.done == failing.count, "all pieces of a failing work", threads);

  nnr::WorkQueue::Work given_up;
  given_up.count = 3;
  given_up.piece = failing.piece;
  queue.start(given_up);
  queue.abandon(given_up);
  expect(given_up.done == given_up.begun, "no piece of an abandoned work is being done", threads);
}

// A thread that becomes free takes the longest piece there is.
void test_longest_first() {
  std::atomic<bool> all_started{false};
  std::atomic<std::size_t> at{0};
  std::array<std::size_t, 5> order{};
  nnr::WorkQueue queue(1);
  nnr::WorkQueue::Work busy;
  busy.count = 1;
  busy.size = 100;
  busy.piece = [&](std::size_t) {
    while (!all_started) std::this_thread::yield();
  };
  queue.start(busy);
  std::array<nnr::WorkQueue::Work, 5> works;
  for (std::size_t i = 0; i < works.size(); ++i) {
    works[i].count = 1;
    works[i].size = std::array<std::size_t, 5>{3, 1, 4, 1, 5}[i];
    works[i].piece = [&, i](std::size_t) {
      const std::size_t k = at;
      order[k] = i;
      at = k + 1;  // lets the other thread read it
    };
    queue.start(works[i]);
  }
  all_started = true;
  // The thread's alone: finish() would do some of them here.
  while (at < works.size()) std::this_thread::yield();
  expect(order == std::array<std::size_t, 5>{4, 2, 0, 1, 3}, "the longest first, else as they were started", 0);
  queue.finish(busy);
  for (nnr::WorkQueue::Work& work : works) queue.finish(work);
}

}  // namespace

int main() {
  test_longest_first();
  for (int round = 0; round < 50; ++round)
    for (const int threads : {0, 1, 2, 5}) {
      test(threads);
      test_faults(threads);
    }
  if (failures == 0) std::puts("work queue: all tests passed");
  return failures == 0 ? 0 : 1;
}
