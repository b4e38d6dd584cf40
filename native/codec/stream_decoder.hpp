// SPDX-License-Identifier: Apache-2.0
// The walk over a stream: units, parts and parameter sets in order, and the tensors of each data unit.
// Clause: format 2, 7.4.
#pragma once

#include <cstdint>
#include <span>

#include "data_unit.hpp"
#include "deadline.hpp"
#include "fault.hpp"
#include "generated/units.hpp"
#include "memory.hpp"
#include "part_places.hpp"
#include "payload_levels.hpp"
#include "source_reader.hpp"
#include "update_tree.hpp"

namespace nnr {

// State that earlier units set (format 2.5 to 2.8).
struct StreamState {
  bool started = false;
  bool has_mps = false;
  bool data_seen = false;
  bool indexed_references = false;
  bool parent_signalling = false;
  std::uint32_t general_profile_idc = 0;
  Quantisation quantisation;
  std::uint64_t total_elements = 0;
};

class StreamDecoder {
 public:
  explicit StreamDecoder(const nnr_options& options);

  // The functions of nnr.h, but for checks of arguments. They return the fault, whose status may be NNR_END.
  [[nodiscard]] Fault open(std::span<const std::uint8_t> stream);
  [[nodiscard]] Fault open_for_pushing();
  [[nodiscard]] Fault push(std::span<const std::uint8_t> octets);
  void finish_pushing() { is_complete_ = true; }
  [[nodiscard]] Fault next() { return in_whole_stream(next_unit()); }
  [[nodiscard]] Fault read(nnr_content content, void* const* buffers) { return in_whole_stream(read_unit(content, buffers)); }
  void read_headers_only() { headers_only_ = true; }
  // Keeps the content of no carried tensor, of this stream and later ones.
  void skip_carried() { skips_carried_ = true; }

  // Of the current unit, in the order of its names.
  [[nodiscard]] std::span<const nnr_tensor> tensors() const { return tensors_; }
  [[nodiscard]] std::uint32_t profile() const { return state_.general_profile_idc; }
  // True for one stream of a series of updates; known when the first data unit is.
  [[nodiscard]] bool is_update() const { return state_.parent_signalling; }
  // Index of the unit at work, where the last fault is.
  [[nodiscard]] std::uint64_t unit_index() const { return index_; }
  [[nodiscard]] bool can_read() const { return can_read_; }

 private:
  // Bytes of a unit in the buffer that holds them: the stream, or a joined unit.
  struct Span {
    const std::uint8_t* data = nullptr;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t header = 0;  // the byte behind the size field
    std::uint32_t type = 0;

    [[nodiscard]] bool is_part() const { return (data[header] & 1) != 0; }
  };
  struct Part {
    std::uint64_t begin;
    std::uint64_t end;
  };
  [[nodiscard]] std::span<const std::uint8_t> bytes_of(const Part& part) const {
    return stream_.subspan(static_cast<std::size_t>(part.begin), static_cast<std::size_t>(part.end - part.begin));
  }

  // Tensors of a block.
  static constexpr std::size_t kMaxTensors = 9;

  void reset();
  [[nodiscard]] Fault next_unit();
  [[nodiscard]] Fault read_unit(nnr_content content, void* const* buffers);
  // Decodes the current unit for what is remembered of it, if the caller has not.
  [[nodiscard]] Fault read_for_updates();
  [[nodiscard]] Fault in_whole_stream(Fault fault) const {
    fault.bit_offset += 8 * base_;
    return fault;
  }
  [[nodiscard]] Fault check_unit_count() const;
  [[nodiscard]] Fault take_span(Span& span);
  [[nodiscard]] Fault check_order(const Span& span) const;
  [[nodiscard]] Fault parse(const Span& span);
  [[nodiscard]] Fault take_unit(const Span& span, bool& is_data);
  [[nodiscard]] Fault take_part(const Span& span, bool& is_last);
  [[nodiscard]] Fault join_parts(Span& joined);
  [[nodiscard]] Fault take_data_unit(const Span& span);
  // Reads a topology unit; `is_data` becomes true where it completes a carried tensor.
  [[nodiscard]] Fault take_topology(const Span& span, bool& is_data);
  [[nodiscard]] bool describe_carried(const CarriedItem& item);
  // A fault whose place is one of the whole stream.
  [[nodiscard]] Fault placed(Fault fault);
  // Replaces numbers by the full names that they stand for.
  [[nodiscard]] Fault use_full_names(const Span& span);
  // True for a tensor that a weight is made from.
  [[nodiscard]] bool is_recomposed(const nnr_tensor& tensor) const;
  // Sets types and sizes of the current unit's tensors, of the source if the options want them.
  [[nodiscard]] Fault use_source_types();
  [[nodiscard]] bool keep_names(std::span<const syntax::Bytes> names);
  [[nodiscard]] bool resolve_names();
  [[nodiscard]] Fault ask_for_shape();
  [[nodiscard]] Fault find_parent();
  [[nodiscard]] bool describe_tensors();
  [[nodiscard]] Fault read_carried(void* const* buffers) const;
  // Decodes the current unit into values of its tensors' types.
  [[nodiscard]] Fault read_values(void* const* buffers);
  // Decodes the current unit into float32 values or int32 levels.
  [[nodiscard]] Fault read_coded(nnr_content content, void* const* buffers);
  [[nodiscard]] Fault decode_codeword(nnr_content content, void* const* buffers);
  [[nodiscard]] Fault read_raw(void* const* buffers) const;

  // Place of an element of a unit, found by parsing it again; the unit's first bit when it is not there.
  [[nodiscard]] std::uint64_t locate(const Span& span, syntax::Watch place);
  [[nodiscard]] Fault fault_at(const Span& span, const Problem& problem, nnr_stage stage);
  // A fault at the payload of the current unit.
  [[nodiscard]] Fault payload_fault(const Problem& problem, nnr_stage stage) const;
  [[nodiscard]] Fault in_stream(Fault fault) const;
  void set_scope(syntax::Parser& parser) const;

  const nnr_options& options_;
  const nnr_limits& limits_;
  Arena arena_;    // of the current unit
  Arena scratch_;  // of a parse
  UpdateTree updates_;
  SourceReader source_;

  // The stream, or what is kept of one that is pushed: the bytes from `base_` on. Places below count from there.
  std::span<const std::uint8_t> stream_;
  Buffer<std::uint8_t> window_;
  std::uint64_t base_ = 0;
  bool is_complete_ = true;  // no more bytes will come
  std::uint64_t offset_ = 0;
  std::uint64_t n_units_ = 0;
  std::uint64_t index_ = 0;
  bool headers_only_ = false;
  bool skips_carried_ = false;
  Deadline deadline_;
  StreamState state_;
  Buffer<std::uint8_t> name_bytes_;
  Buffer<syntax::Bytes> names_;  // the reference list

  // Parts of a unit, while more are to come.
  Buffer<Part> parts_;  // their payloads
  Span first_part_;
  std::uint64_t first_part_index_ = 0;
  std::uint64_t joined_payload_bytes_ = 0;
  std::uint32_t parts_to_come_ = 0;
  Part part_header_ = {};  // behind the counter
  bool parts_open_ = false;
  JoinedUnit joined_;
  bool is_joined_ = false;  // whether the unit at work is in joined_

  // The current data unit.
  syntax::NnrUnit unit_;
  DataUnit data_;
  Span span_;
  syntax::Bytes payload_;
  std::span<const RememberedTensor> previous_;
  std::span<nnr_tensor> tensors_;
  const CarriedItem* carried_ = nullptr;  // in place of a data unit
  PendingPatch* patches_[kMaxTensors] = {};
  std::uint8_t n_bits_[kMaxTensors] = {};  // of integers narrower than their type
  bool can_read_ = false;
};

}  // namespace nnr
