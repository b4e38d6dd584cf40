// SPDX-License-Identifier: Apache-2.0
// Progress of an encoding while it runs, and its early end.
#pragma once

#include <cstdint>
#include <exception>
#include <utility>

namespace nnr {

// Thrown by stages of an encoding that was stopped.
struct Stopped : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return "the encoding was stopped"; }
};

class Observer {
 public:
  Observer() = default;
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  virtual ~Observer() = default;

  // Called by each stage after every few thousand weights, with their number, and with 0 by a thread that waits. An exception
  // ends the encoding.
  virtual void advance(std::uint64_t weights) = 0;

  // Throws again, in the thread that it came from, the exception that ended the encoding. Other stages end with Stopped.
  virtual void rethrow_cause() = 0;
};

// The observer of a thread's work. Every function of the encoder may be called without one.
inline thread_local Observer* observer_of_thread = nullptr;

inline void advance(std::uint64_t weights) {
  if (observer_of_thread != nullptr) observer_of_thread->advance(weights);
}

// Sets the observer of this thread for its own lifetime.
class ObservedScope {
 public:
  explicit ObservedScope(Observer* observer) : before_(std::exchange(observer_of_thread, observer)) {}
  ~ObservedScope() { observer_of_thread = before_; }
  ObservedScope(const ObservedScope&) = delete;
  ObservedScope& operator=(const ObservedScope&) = delete;

 private:
  Observer* before_;
};

// Calls piece(begin, end) for consecutive pieces of `size` weights, with an observer that may end the work between them.
template <class Piece>
void in_observed_pieces(std::uint64_t size, Piece&& piece) {
  constexpr std::uint64_t kPiece = std::uint64_t{1} << 16;
  for (std::uint64_t begin = 0; begin < size; begin += kPiece) {
    const std::uint64_t end = size - begin < kPiece ? size : begin + kPiece;
    piece(begin, end);
    advance(end - begin);
  }
}

}  // namespace nnr
