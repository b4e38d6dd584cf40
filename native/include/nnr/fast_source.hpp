// SPDX-License-Identifier: Apache-2.0
// The Source of TensorDecoder that decodes levels by the kernels, and the few other bins by itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nnr/fast_context.hpp"
#include "nnr/fast_engine.hpp"
#include "nnr/level_kernel.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

// Contexts is a list that grows: a vector, or one without allocation.
template <class Contexts>
class BasicFastSource {
 public:
  explicit BasicFastSource(std::span<const std::uint8_t> payload) : begin_(payload.data()), engine_(payload) { contexts_.reserve(kUsual); }

  // Goes on from an entry point within the payload, with contexts as they start.
  void enter(std::uint64_t position, std::uint32_t offset) {
    engine_ = FastEngine({begin_, engine_.end}, position, offset);
    reset_contexts();
  }

  [[nodiscard]] bool regular(int context) { return engine_.decode(contexts_[static_cast<unsigned>(context)]); }
  [[nodiscard]] bool bypass() { return engine_.decode_bypass_bins(1) != 0; }
  [[nodiscard]] std::uint32_t bypass_bins(int count) { return engine_.decode_bypass_bins(count); }
  [[nodiscard]] bool terminate() { return engine_.decode_terminate(); }
  [[nodiscard]] bool restart_range() { return engine_.restart_range(); }

  void initialise(int context, int index) {
    if (static_cast<std::size_t>(context) >= contexts_.size()) contexts_.resize(static_cast<std::size_t>(context) + 1);
    contexts_[static_cast<unsigned>(context)].initialise(index);
  }
  void reset_contexts() {
    for (FastContext& context : contexts_) context.reset();
  }

  [[nodiscard]] Outcome decode_levels(const TensorCoding& coding, Neighbourhood& near, bool history, const Segment& segment,
                                      std::int32_t* levels) {
    return nnr::decode_levels(LevelRun{engine_, contexts_.data(), coding, near, history}, segment, levels);
  }

  [[nodiscard]] bool overrun() const { return engine_.overrun(); }
  [[nodiscard]] std::uint64_t bits_read() const { return engine_.bits_read(begin_); }
  [[nodiscard]] std::uint32_t offset() const { return engine_.offset(); }
  [[nodiscard]] std::uint32_t range() const { return engine_.range_length(); }
  [[nodiscard]] ContextModel context(int index) const { return contexts_[static_cast<unsigned>(index)].model(); }

 private:
  // Of the usual unary lengths. All there can be would take longer to make than a small tensor's levels to decode.
  static constexpr std::size_t kUsual = 256;

  const std::uint8_t* begin_;
  FastEngine engine_;
  Contexts contexts_;  // up to the last one initialised; the others are never read
};

using FastSource = BasicFastSource<std::vector<FastContext>>;

}  // namespace nnr
