// SPDX-License-Identifier: Apache-2.0
// Walk, decoding and memory of updates together: the functions of nnr.h.
// Clause: format 2 to 5.
#pragma once

#include <cstdint>
#include <span>

#include "stream_walk.hpp"
#include "unit_decoder.hpp"
#include "update_tree.hpp"

namespace nnr {

class StreamDecoder {
 public:
  explicit StreamDecoder(const nnr_options& options);

  // The functions of nnr.h, but for checks of arguments. They return the fault, whose status may be NNR_END.
  [[nodiscard]] Fault open(std::span<const std::uint8_t> stream);
  [[nodiscard]] Fault open_for_pushing();
  [[nodiscard]] Fault push(std::span<const std::uint8_t> octets);
  void finish_pushing() { walk_.finish_pushing(); }
  [[nodiscard]] Fault next();
  [[nodiscard]] Fault read(nnr_content content, void* const* buffers);
  void read_headers_only() { headers_only_ = true; }

  // Of the current unit, in the order of its names.
  [[nodiscard]] std::span<const nnr_tensor> tensors() const { return tensors_; }
  [[nodiscard]] std::uint32_t profile() const { return walk_.state().general_profile_idc; }
  // Index of the unit at work, where the last fault is.
  [[nodiscard]] std::uint64_t unit_index() const { return walk_.unit_index(); }
  [[nodiscard]] bool can_read() const { return can_read_; }

 private:
  void forget_unit();
  // Decodes the current unit for what is remembered of it, if the caller has not.
  [[nodiscard]] Fault read_for_updates();
  [[nodiscard]] Fault read_codeword(nnr_content content, void* const* buffers);
  [[nodiscard]] bool keeps_updates() const { return walk_.state().parent_signalling && !headers_only_; }
  [[nodiscard]] bool describe_tensors();
  [[nodiscard]] Fault in_whole_stream(Fault fault) const;

  const nnr_options& options_;
  Arena arena_;  // of the current unit
  StreamWalk walk_;
  UpdateTree updates_;
  bool headers_only_ = false;

  WalkedUnit unit_;
  std::span<const RememberedTensor> previous_;
  std::span<nnr_tensor> tensors_;
  bool can_read_ = false;
};

}  // namespace nnr
