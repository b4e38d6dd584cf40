// SPDX-License-Identifier: Apache-2.0
// The fast Source of TensorDecoder: levels by the kernels of level_kernel.hpp, side information bin by bin.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nnr/context_bank.hpp"
#include "nnr/fast_context.hpp"
#include "nnr/fast_engine.hpp"
#include "nnr/level_kernel.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

// `Bank` is ContextBank<FastContext> or has its members.
template <class Bank>
class BasicFastSource {
 public:
  // Starts at the first bit of `payload`, whose bytes must outlive the source.
  explicit BasicFastSource(std::span<const std::uint8_t> payload) : begin_(payload.data()), engine_(payload) {}

  // Continues at an entry point within the payload, with every context at its initialisation.
  void seek(std::uint64_t position, std::uint32_t offset) {
    engine_ = FastEngine({begin_, engine_.end}, position, offset);
    reset_contexts();
  }

  [[nodiscard]] bool regular(int context) { return engine_.decode(contexts_[context]); }
  [[nodiscard]] bool bypass() { return engine_.decode_bypass_bins(1) != 0; }
  [[nodiscard]] std::uint32_t bypass_bins(int count) { return engine_.decode_bypass_bins(count); }
  [[nodiscard]] bool terminate() { return engine_.decode_terminate(); }
  [[nodiscard]] bool restart_range() { return engine_.restart_range(); }

  void initialise(int context, int initialisation) { contexts_.initialise(context, initialisation); }
  void reset_contexts() { contexts_.reset(); }

  [[nodiscard]] Outcome decode_levels(const TensorCoding& coding, Neighbourhood& neighbourhood, bool history,
                                      const Segment& segment, std::int32_t* levels) {
    return nnr::decode_levels(LevelRun{engine_, contexts_.begin(), coding, neighbourhood, history}, segment, levels);
  }

  [[nodiscard]] bool overrun() const { return engine_.overrun(); }
  [[nodiscard]] std::uint64_t bits_read() const { return engine_.bits_read(begin_); }
  [[nodiscard]] std::uint32_t offset() const { return engine_.offset(); }

 private:
  // Enough for the usual unary lengths. Reserving for the longest takes longer than decoding a small tensor.
  static constexpr std::size_t kTypicalContexts = 256;

  const std::uint8_t* begin_;
  FastEngine engine_;
  Bank contexts_{kTypicalContexts};
};

using FastSource = BasicFastSource<ContextBank<FastContext>>;

}  // namespace nnr
