// SPDX-License-Identifier: Apache-2.0
// The walk over a stream: units, parts and parameter sets in order, and the meaning of each data unit's header.
// Clause: format 2, 7.4.
#pragma once

#include <cstdint>
#include <span>

#include "coded_unit.hpp"
#include "fault.hpp"
#include "generated/units.hpp"
#include "nnr/memory.hpp"
#include "parser.hpp"
#include "part_places.hpp"

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

// A unit of the stream, whole or joined from its parts.
struct WalkedUnit {
  std::uint64_t index = 0;       // of the unit, or of its first part
  std::uint64_t begin = 0;       // first byte in the stream
  std::uint64_t size_bytes = 0;  // of the unit, or of its first part
  std::uint32_t type = 0;
  bool is_skipped = false;  // a data unit that is not wanted; nothing else is known of it
  CodedUnit coded;          // of a data unit
  // Topology units: format, and content as it is stored.
  std::uint32_t storage_format = 0;
  std::uint32_t compression_format = 0;
  syntax::Bytes topology;
  bool has_topology = false;
};

class StreamWalk {
 public:
  // `options` must outlive the walk.
  explicit StreamWalk(const nnr_options& options);

  // Start the next stream, whose bytes stay in place, or one whose bytes are pushed.
  [[nodiscard]] Fault open(std::span<const std::uint8_t> stream);
  [[nodiscard]] Fault open_for_pushing();
  // Appends bytes. Units of before, whose bytes may move, are gone.
  [[nodiscard]] Fault push(std::span<const std::uint8_t> octets);
  void finish_pushing() { is_complete_ = true; }

  // Continues with the units of a range of bytes, the first of which has this index.
  void seek(std::uint64_t begin, std::uint64_t end, std::uint64_t index);

  // Takes the next unit, of any type. What it refers to lives in `arena`, in the stream, and in the joined unit. Returns the
  // fault, whose status may be NNR_END or NNR_MORE.
  [[nodiscard]] Fault next(Arena& arena, WalkedUnit& unit) { return in_whole_stream(next_unit(arena, unit)); }

  // Data units of a name that `is_wanted` refuses are passed over without a check of their header. Only for streams in which
  // names stand in the units and no unit is the base of another.
  using Filter = bool (*)(void* opaque, syntax::Bytes name);
  void skip_unless(Filter is_wanted, void* opaque) {
    is_wanted_ = is_wanted;
    filter_opaque_ = opaque;
  }
  // Full names, which units refer to by their decimal number. They must outlive the walk.
  void set_full_names(std::span<const syntax::Bytes> names) { full_names_ = names; }

  [[nodiscard]] const StreamState& state() const { return state_; }
  // Index of the unit at work, where the last fault is.
  [[nodiscard]] std::uint64_t unit_index() const { return index_; }
  // Bytes of the unit at work, joined from its parts; empty before the first one.
  [[nodiscard]] std::span<const std::uint8_t> unit_bytes() const;
  // Place in the stream of a bit of that unit.
  [[nodiscard]] std::uint64_t place_of(std::uint64_t bit) const;
  [[nodiscard]] std::span<const syntax::Bytes> reference_list() const { return {names_.data(), names_.size()}; }
  // The unit joined last, which a caller may take to keep what refers to it.
  [[nodiscard]] JoinedUnit& joined() { return joined_; }
  // Bytes of the stream so far.
  [[nodiscard]] std::uint64_t stream_bytes() const { return base_ + stream_.size(); }
  // First byte of the stream that is still in memory.
  [[nodiscard]] std::uint64_t base() const { return base_; }

  // For callers of inflate_topology(): faults of the content of topologies are not looked for before.
  void leave_topologies() { checks_topology_ = false; }
  // Sets `content` to the content of a topology unit as its encoder saw it, in the unit or in `inflated`; a null pointer checks
  // it only. The unit is the one at work.
  [[nodiscard]] Fault inflate_topology(const WalkedUnit& unit, Buffer<std::uint8_t>* inflated, syntax::Bytes& content);

  // For callers that need no shapes: units without dimensions have names only, and cannot be decoded.
  void leave_shapes() { needs_shapes_ = false; }
  // Takes the rest of the units by their sizes alone, and describes the last one.
  [[nodiscard]] Fault skim(WalkedUnit& last);

  // A fault at an element of a unit taken before, in the coordinates of the unit's buffer.
  [[nodiscard]] Fault fault_at(const CodedUnit& unit, const Problem& problem, nnr_stage stage);
  // A fault at an element of the unit at work, with its place in the stream.
  [[nodiscard]] Fault fault_here(const Problem& problem, nnr_stage stage);
  // Place in the stream of a fault that is one in the buffer of a unit.
  [[nodiscard]] Fault in_stream(const CodedUnit& unit, Fault fault) const;

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

  void reset();
  [[nodiscard]] Fault next_unit(Arena& arena, WalkedUnit& unit);
  [[nodiscard]] Fault in_whole_stream(Fault fault) const {
    fault.bit_offset += 8 * base_;
    return fault;
  }
  [[nodiscard]] Fault check_unit_count();
  [[nodiscard]] Fault take_span(Span& span);
  [[nodiscard]] Fault check_order(const Span& span) const;
  [[nodiscard]] Fault parse(const Span& span, Arena& arena);
  [[nodiscard]] bool can_skip() const;
  [[nodiscard]] bool is_unwanted(const Span& span);
  [[nodiscard]] Fault take_unit(const Span& span, Arena& arena, WalkedUnit& unit);
  [[nodiscard]] Fault take_topology(const Span& span, WalkedUnit& unit);
  [[nodiscard]] Fault take_part(const Span& span, Arena& arena, bool& is_last);
  [[nodiscard]] Fault join_parts(Span& joined);
  [[nodiscard]] Fault take_data_unit(const Span& span, Arena& arena, CodedUnit& unit);
  [[nodiscard]] Fault check_deflate_of(const Span& span, syntax::Bytes octets, syntax::ElementId element);
  [[nodiscard]] bool keep_names(std::span<const syntax::Bytes> names);
  [[nodiscard]] bool resolve_names(Arena& arena, DataUnit& data);
  [[nodiscard]] Fault use_full_names(const Span& span, Arena& arena, DataUnit& data);
  [[nodiscard]] Fault ask_for_shape(Arena& arena, CodedUnit& unit) const;
  // Adds a unit's elements to those of the stream, and checks their limits.
  [[nodiscard]] Fault count_total(const Span& span, const CodedUnit& unit);

  // Place of an element of a unit, found by parsing it again; the unit's first bit when it is not there.
  [[nodiscard]] std::uint64_t locate(const Span& span, syntax::Watch place);
  [[nodiscard]] Fault fault_at(const Span& span, const Problem& problem, nnr_stage stage);
  void set_scope(syntax::Parser& parser) const;

  const nnr_options& options_;
  const nnr_limits& limits_;
  Arena scratch_;  // of a parse

  // The stream, or what is kept of one that is pushed: the bytes from `base_` on. Places below count from there.
  std::span<const std::uint8_t> stream_;
  Buffer<std::uint8_t> window_;
  std::uint64_t base_ = 0;
  bool is_complete_ = true;  // no more bytes will come
  std::uint64_t offset_ = 0;
  std::uint64_t end_ = 0;  // of the units to walk over
  std::uint64_t n_units_ = 0;
  std::uint64_t index_ = 0;
  StreamState state_;
  Buffer<std::uint8_t> name_bytes_;
  Buffer<syntax::Bytes> names_;  // the reference list
  std::span<const syntax::Bytes> full_names_;
  bool checks_topology_ = true;
  bool needs_shapes_ = true;
  Filter is_wanted_ = nullptr;
  void* filter_opaque_ = nullptr;

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

  syntax::NnrUnit unit_;
  Span span_;  // of the unit at work
};

}  // namespace nnr
