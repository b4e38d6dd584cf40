// SPDX-License-Identifier: Apache-2.0
// The Sink of TensorEncoder that writes a codeword: an arithmetic encoder and the contexts that its bins adapt.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nnr/arithmetic_encoder.hpp"
#include "nnr/bin_kernel.hpp"
#include "nnr/context_bank.hpp"
#include "nnr/fast_context.hpp"

namespace nnr {

class EncoderSink {
 public:
  void regular(int context, bool bin) { engine_.encode(contexts_[context], bin); }
  void bypass(bool bin) { engine_.encode_bypass(bin); }
  void bypass_bins(std::uint32_t bins, int count) { engine_.encode_bypass_bins(bins, count); }
  void put_run(std::span<const BinEntry> run) { encode_run(engine_, contexts_.begin(), run); }
  void restart_range() { engine_.restart_range(); }

  void initialise(int context, int initialisation) { contexts_.initialise(context, initialisation); }
  void reset_contexts() { contexts_.reset(); }

  [[nodiscard]] const ArithmeticEncoder& engine() const { return engine_; }

  // Ends the codeword and moves its bytes out. The sink accepts no bins afterwards.
  [[nodiscard]] std::vector<std::uint8_t> finish() {
    engine_.finish();
    return engine_.take_bytes();
  }

 private:
  ArithmeticEncoder engine_;
  ContextBank<FastContext> contexts_{0};
};

}  // namespace nnr
