// SPDX-License-Identifier: Apache-2.0
#include "nnr/watch.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <utility>

#include "watch.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kInterval{50};

// Counts the weights that pass the stages in all threads. In the thread that made it, it handles signals and calls `report`. The
// other threads never take the interpreter lock, because a thread that holds the lock may wait for them.
class PythonWatch : public nnr::Watch {
 public:
  void advance(std::uint64_t weights) override {
    n_weights_.fetch_add(weights, std::memory_order_relaxed);
    if (is_stopped_.load(std::memory_order_relaxed)) throw nnr::Stopped();
    if (std::this_thread::get_id() != owner_) return;
    const Clock::time_point now = Clock::now();
    if (now < next_) return;
    next_ = now + kInterval;
    const nb::gil_scoped_acquire lock;
    try {
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      if (!report_.is_none()) report_(n_weights_.load(std::memory_order_relaxed));
    } catch (...) {
      stop();
      throw;
    }
  }

  void stop() { is_stopped_.store(true, std::memory_order_relaxed); }

  // Watches the owner's thread until detach(), which restores the watch before it and releases `report`.
  void attach(nb::object report) {
    report_ = std::move(report);
    before_ = std::exchange(nnr::watch_of_thread, this);
  }
  void detach() {
    nnr::watch_of_thread = std::exchange(before_, nullptr);
    report_ = nb::none();
  }
  // Watches another thread to its end.
  void attach_worker() { nnr::watch_of_thread = this; }

 private:
  const std::thread::id owner_ = std::this_thread::get_id();
  nb::object report_ = nb::none();
  std::atomic<std::uint64_t> n_weights_ = 0;
  std::atomic<bool> is_stopped_ = false;
  nnr::Watch* before_ = nullptr;
  Clock::time_point next_ = Clock::now() + kInterval;  // in the owner's thread
};

}  // namespace

void register_watch(nb::module_& m) {
  nb::class_<PythonWatch>(m, "Watch")
      .def(nb::init<>())
      .def("advance", &PythonWatch::advance, "weights"_a = 0)
      .def("stop", &PythonWatch::stop)
      .def("attach", &PythonWatch::attach, "report"_a.none())
      .def("detach", &PythonWatch::detach)
      .def("attach_worker", &PythonWatch::attach_worker);
}
