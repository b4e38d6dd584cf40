// SPDX-License-Identifier: Apache-2.0
// What encoding tells of its progress while it runs, and how it is ended early.
#pragma once

#include <cstdint>
#include <exception>
#include <utility>

namespace nnr {

// Thrown by stages of an encoding that was stopped.
struct Stopped : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return "the encoding was stopped"; }
};

class Watch {
 public:
  Watch() = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  virtual ~Watch() = default;

  // Called by each stage after every few thousand weights, with their number, and with 0 by a thread that waits. An exception
  // ends the encoding.
  virtual void advance(std::uint64_t weights) = 0;
};

// The watch of a thread's work. Every function of the encoder may be called without one.
inline thread_local Watch* watch_of_thread = nullptr;

inline void advance(std::uint64_t weights) {
  if (watch_of_thread != nullptr) watch_of_thread->advance(weights);
}

// Sets the watch of this thread for its own lifetime.
class WatchedScope {
 public:
  explicit WatchedScope(Watch* watch) : before_(std::exchange(watch_of_thread, watch)) {}
  ~WatchedScope() { watch_of_thread = before_; }
  WatchedScope(const WatchedScope&) = delete;
  WatchedScope& operator=(const WatchedScope&) = delete;

 private:
  Watch* before_;
};

// Calls piece(begin, end) for consecutive pieces of `size` weights, with a watch that may end the work between them.
template <class Piece>
void in_watched_pieces(std::uint64_t size, Piece&& piece) {
  constexpr std::uint64_t kPiece = std::uint64_t{1} << 16;
  for (std::uint64_t begin = 0; begin < size; begin += kPiece) {
    const std::uint64_t end = size - begin < kPiece ? size : begin + kPiece;
    piece(begin, end);
    advance(end - begin);
  }
}

}  // namespace nnr
