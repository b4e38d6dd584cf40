// SPDX-License-Identifier: Apache-2.0
// The time until which a stream is decoded.
#pragma once

#include <ctime>

#include "windows_api.hpp"

namespace nnr {

class Deadline {
 public:
  // seconds: 0 for no deadline.
  void start(double seconds) {
    seconds_ = seconds;
    if (seconds_ > 0) begin_ = now();
  }
  [[nodiscard]] bool is_over() const { return seconds_ > 0 && now() - begin_ > seconds_; }

 private:
  // Seconds of a clock that only moves forward. std::chrono's would need the C++ run-time library.
  [[nodiscard]] static double now() {
#if defined(_WIN32)
    return static_cast<double>(GetTickCount64()) * 1e-3;
#else
    std::timespec time = {};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
#endif
  }

  double seconds_ = 0;
  double begin_ = 0;
};

}  // namespace nnr
