// SPDX-License-Identifier: Apache-2.0
#include "nnr/observer.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>
#include <utility>

#include "observer.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Clock = std::chrono::steady_clock;

// Counts the weights that pass the stages in all threads. In the thread that made it, it handles signals and calls `report`, at
// most once in `interval` seconds. The other threads never take the interpreter lock, because a thread that holds the lock may
// wait for them.
class PythonObserver : public nnr::Observer {
 public:
  explicit PythonObserver(double interval)
      : interval_(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(interval))) {}

  void advance(std::uint64_t weights) override {
    n_weights_.fetch_add(weights, std::memory_order_relaxed);
    if (is_stopped_.load(std::memory_order_relaxed)) throw nnr::Stopped();
    if (std::this_thread::get_id() != owner_) return;
    const Clock::time_point now = Clock::now();
    if (now < next_) return;
    next_ = now + interval_;
    const nb::gil_scoped_acquire lock;
    try {
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      if (!report_.is_none()) report_(n_weights_.load(std::memory_order_relaxed));
    } catch (const nb::python_error& error) {
      cause_.emplace(error);
      stop();
      throw;
    } catch (...) {
      stop();
      throw;
    }
  }

  void rethrow_cause() override {
    if (std::this_thread::get_id() != owner_ || !cause_) return;
    const nb::gil_scoped_acquire lock;
    throw nb::python_error(*cause_);  // a copy, since nanobind empties what it catches
  }

  void stop() { is_stopped_.store(true, std::memory_order_relaxed); }

  // Observes the owner's thread until detach(), which restores the observer before it and releases `report`.
  void attach(nb::object report) {
    report_ = std::move(report);
    before_ = std::exchange(nnr::observer_of_thread, this);
  }
  void detach() {
    nnr::observer_of_thread = std::exchange(before_, nullptr);
    report_ = nb::none();
    cause_.reset();
  }
  // Observes another thread to its end.
  void attach_worker() { nnr::observer_of_thread = this; }

 private:
  const Clock::duration interval_;
  const std::thread::id owner_ = std::this_thread::get_id();
  nb::object report_ = nb::none();
  std::atomic<std::uint64_t> n_weights_ = 0;
  std::atomic<bool> is_stopped_ = false;
  nnr::Observer* before_ = nullptr;
  std::optional<nb::python_error> cause_;              // in the owner's thread
  Clock::time_point next_ = Clock::now() + interval_;  // in the owner's thread
};

}  // namespace

void register_observer(nb::module_& m) {
  nb::class_<PythonObserver>(m, "Observer")
      .def(nb::init<double>(), "interval"_a = 0.05)
      .def("advance", &PythonObserver::advance, "weights"_a = 0)
      .def("stop", &PythonObserver::stop)
      .def("attach", &PythonObserver::attach, "report"_a.none())
      .def("detach", &PythonObserver::detach)
      .def("attach_worker", &PythonObserver::attach_worker);
}
