// SPDX-License-Identifier: Apache-2.0
// The reference Source of TensorDecoder: bins from a codeword by ArithmeticDecoder, and the contexts they adapt.
#pragma once

#include <cstdint>

#include "nnr/arithmetic_decoder.hpp"
#include "nnr/context_bank.hpp"
#include "nnr/context_model.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

class DecoderSource {
 public:
  explicit DecoderSource(ArithmeticDecoder engine) : engine_(engine) {}

  [[nodiscard]] bool regular(int context) { return engine_.decode(contexts_[context]); }
  [[nodiscard]] bool bypass() { return engine_.decode_bypass(); }
  [[nodiscard]] std::uint32_t bypass_bins(int count) { return engine_.decode_bypass_bins(count); }
  [[nodiscard]] bool terminate() { return engine_.decode_terminate(); }
  [[nodiscard]] bool restart_range() { return engine_.restart_range(); }

  void initialise(int context, int initialisation) { contexts_.initialise(context, initialisation); }
  void reset_contexts() { contexts_.reset(); }

  [[nodiscard]] bool overrun() const { return engine_.overrun(); }
  [[nodiscard]] std::uint64_t bits_read() const { return engine_.bits_read(); }
  [[nodiscard]] std::uint32_t offset() const { return engine_.offset(); }

 private:
  ArithmeticDecoder engine_;
  ContextBank<ContextModel> contexts_{ContextLayout::kMaxCount};
};

}  // namespace nnr
