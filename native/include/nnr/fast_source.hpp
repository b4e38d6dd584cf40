// SPDX-License-Identifier: Apache-2.0
// The Source of TensorDecoder that decodes levels by the kernels, and the few other bins by itself.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "nnr/fast_context.hpp"
#include "nnr/fast_engine.hpp"
#include "nnr/level_kernel.hpp"
#include "nnr/tensor_coding.hpp"

namespace nnr {

class FastSource {
 public:
  explicit FastSource(std::span<const std::uint8_t> payload) : begin_(payload.data()), engine_(payload) {}

  [[nodiscard]] bool regular(int context) { return engine_.decode(contexts_[static_cast<unsigned>(context)]); }
  [[nodiscard]] bool bypass() { return engine_.decode_bypass_bins(1) != 0; }
  [[nodiscard]] std::uint32_t bypass_bins(int count) { return engine_.decode_bypass_bins(count); }
  [[nodiscard]] bool terminate() { return engine_.decode_terminate(); }
  [[nodiscard]] bool restart_range() { return engine_.restart_range(); }

  void initialise(int context, int index) {
    contexts_[static_cast<unsigned>(context)].initialise(index);
    used_ = context < used_ ? used_ : context + 1;
  }
  void reset_contexts() {
    for (int i = 0; i < used_; ++i) contexts_[static_cast<unsigned>(i)].reset();
  }

  [[nodiscard]] Outcome decode_levels(const TensorCoding& coding, Neighbourhood& near, bool history, const Segment& segment,
                                      std::int32_t* levels) {
    return nnr::decode_levels(LevelRun{engine_, contexts_.data(), coding, near, history}, segment, levels);
  }

  [[nodiscard]] bool overrun() const { return engine_.overrun(); }
  [[nodiscard]] std::uint64_t bits_read() const { return engine_.bits_read(begin_); }
  [[nodiscard]] std::uint32_t offset() const { return engine_.offset(); }
  [[nodiscard]] std::uint32_t range() const { return static_cast<std::uint32_t>(engine_.range); }
  [[nodiscard]] ContextModel context(int index) const { return contexts_[static_cast<unsigned>(index)].model(); }

 private:
  const std::uint8_t* begin_;
  FastEngine engine_;
  int used_ = 0;  // contexts initialised so far; the others are never read
  std::array<FastContext, ContextLayout::kMaxCount> contexts_{};
};

}  // namespace nnr
