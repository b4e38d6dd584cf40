// SPDX-License-Identifier: Apache-2.0
// The time until which a stream is decoded.
#pragma once

#include <chrono>

namespace nnr {

class Deadline {
 public:
  // seconds: 0 for no deadline.
  void start(double seconds) {
    seconds_ = seconds;
    if (seconds_ > 0) begin_ = Clock::now();
  }
  [[nodiscard]] bool is_over() const {
    return seconds_ > 0 && std::chrono::duration<double>(Clock::now() - begin_).count() > seconds_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  double seconds_ = 0;
  Clock::time_point begin_;
};

}  // namespace nnr
