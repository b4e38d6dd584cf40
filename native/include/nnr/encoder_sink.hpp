// SPDX-License-Identifier: Apache-2.0
// Bins into a codeword, with the context models they adapt: the Sink that writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nnr/arithmetic_encoder.hpp"
#include "nnr/bin_kernel.hpp"
#include "nnr/fast_context.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

class EncoderSink {
 public:
  void regular(int context, bool bin) { engine_.encode(contexts_[static_cast<unsigned>(context)], bin); }
  void bypass(bool bin) { engine_.encode_bypass(bin); }
  void bypass_bins(std::uint32_t bins, int count) { engine_.encode_bypass_bins(bins, count); }
  void take(std::span<const BinEntry> run) { encode_run(engine_, contexts_.data(), run); }
  void restart_range() { engine_.restart_range(); }

  void initialise(int context, int index) {
    const auto at = static_cast<std::size_t>(context);
    if (at >= contexts_.size()) contexts_.resize(at + 1);
    contexts_[at].initialise(index);
  }
  void reset_contexts() {
    for (FastContext& context : contexts_) context.reset();
  }

  [[nodiscard]] const ArithmeticEncoder& engine() const { return engine_; }
  [[nodiscard]] std::vector<std::uint8_t> finish() {
    engine_.finish();
    return engine_.take_bytes();
  }

 private:
  ArithmeticEncoder engine_;
  std::vector<FastContext> contexts_;  // as many as were initialised
};

}  // namespace nnr
