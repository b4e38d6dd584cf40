// SPDX-License-Identifier: Apache-2.0
// Walk, decoding and memory of updates together: the functions of nnr.h.
// Clause: format 2 to 5.
#pragma once

#include <cstdint>
#include <span>

#include "deadline.hpp"
#include "source_reader.hpp"
#include "stream_walk.hpp"
#include "team.hpp"
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
  // Keeps the content of no carried tensor, of this stream and later ones.
  void skip_carried() { skips_carried_ = true; }
  // Lets other threads decode pieces of a unit that has entry points.
  void share_pieces(Team& team) { team_ = &team; }
  // Ends the open stream when the call ends of which this decoder is one of several.
  void share_deadline(const Deadline& deadline) { deadline_ = deadline; }

  // Of the current unit, in the order of its names.
  [[nodiscard]] std::span<const nnr_tensor> tensors() const { return tensors_; }
  [[nodiscard]] std::uint32_t profile() const { return walk_.state().general_profile_idc; }
  // True for one stream of a series of updates; known when the first data unit is.
  [[nodiscard]] bool is_update() const { return walk_.state().parent_signalling; }
  // Index of the unit at work, where the last fault is.
  [[nodiscard]] std::uint64_t unit_index() const { return walk_.unit_index(); }
  [[nodiscard]] bool can_read() const { return can_read_; }

 private:
  void begin_stream();
  void forget_unit();
  [[nodiscard]] Fault take_data_unit();
  // Reads a topology unit; `is_tensor` becomes true where it completes a carried tensor.
  [[nodiscard]] Fault take_topology(bool& is_tensor);
  [[nodiscard]] static bool keeps_content(const void* self, CarriedKind kind, syntax::Bytes name);
  [[nodiscard]] bool describe_carried(const CarriedItem& item);
  // True for a tensor that a weight is made from.
  [[nodiscard]] bool is_recomposed(const nnr_tensor& tensor) const;
  // Sets types and sizes of the current unit's tensors, of the source if the options want them.
  [[nodiscard]] Fault use_source_types();
  void read_carried(void* const* buffers) const;
  // Decodes the current unit into values of its tensors' types.
  [[nodiscard]] Fault read_values(void* const* buffers);
  // Decodes the current unit into float32 values or int32 levels.
  [[nodiscard]] Fault read_coded(nnr_content content, void* const* buffers);
  // Decodes the current unit for what is remembered of it, if the caller has not.
  [[nodiscard]] Fault read_for_updates();
  [[nodiscard]] Fault read_codeword(nnr_content content, void* const* buffers);
  // Decodes a unit with entry points together with other threads. False where it has to be decoded in order.
  [[nodiscard]] bool decode_pieces(std::int32_t* levels, bool dequantizes, std::int32_t& qp, Fault& fault);
  [[nodiscard]] bool keeps_updates() const { return walk_.state().parent_signalling && !headers_only_; }
  [[nodiscard]] bool describe_tensors();
  // Place in the stream of a fault in the buffer of the current unit.
  [[nodiscard]] Fault in_stream(Fault fault) const;

  const nnr_options& options_;
  Arena arena_;  // of the current unit
  StreamWalk walk_;
  UpdateTree updates_;
  TypeRules types_;
  SourceReader source_;
  Deadline deadline_;
  bool headers_only_ = false;
  bool skips_carried_ = false;
  Team* team_ = nullptr;

  WalkedUnit unit_;
  std::span<const RememberedTensor> previous_;
  std::span<nnr_tensor> tensors_;
  const CarriedItem* carried_ = nullptr;  // in place of a data unit
  PendingPatch* patches_[kMaxTensors] = {};
  std::uint8_t n_bits_[kMaxTensors] = {};  // of integers narrower than their type
  bool can_read_ = false;
};

}  // namespace nnr
