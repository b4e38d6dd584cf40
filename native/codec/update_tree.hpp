// SPDX-License-Identifier: Apache-2.0
// Decoded data units that later updates may refer to, by node and by digest of their payload.
// Clause: format 5.6.1.
#pragma once

#include <cstdint>
#include <span>

#include "data_unit.hpp"
#include "hash_index.hpp"
#include "nnr/memory.hpp"

namespace nnr {

// One tensor of a remembered unit.
struct RememberedTensor {
  std::span<const std::uint64_t> shape;
  std::int32_t* levels = nullptr;
  std::uint8_t* history = nullptr;  // 1 where this unit or an ancestor had a level other than 0
  std::uint64_t n_elements = 0;
};

// Of each parameter the last `max_updates_kept` units stay; a reference to an older one exceeds the limit.
class UpdateTree {
 public:
  UpdateTree(const nnr_allocator& allocator, std::uint64_t max_updates_kept) : allocator_(allocator), kept_(max_updates_kept) {}
  UpdateTree(const UpdateTree&) = delete;
  UpdateTree& operator=(const UpdateTree&) = delete;
  ~UpdateTree();

  // Sets `previous` to the tensors of the unit's parent, in the order of their data; empty where there is none.
  [[nodiscard]] Problem find_parent(const DataUnit& unit, std::span<const RememberedTensor>& previous) const;

  // Keeps a unit's levels, which are copied. False when there is no memory.
  [[nodiscard]] bool remember(const DataUnit& unit, std::span<const std::uint8_t> payload, std::span<std::int32_t* const> levels,
                              std::span<const RememberedTensor> previous);

 private:
  struct Record {
    std::uint64_t n_references;
    std::span<RememberedTensor> tensors;
    std::uint64_t* shapes;
  };
  struct Update {
    std::int64_t depth;
    Record* record;
    Update* next;
  };
  struct Parameter {
    std::uint32_t device_id;
    std::uint32_t parameter_id;
    std::int64_t dropped_depth;  // of the deepest update that is no longer kept; -1 for none
    Update* updates;
    std::uint64_t n_updates;
  };
  // A unit by its digests, and the next one of the same names.
  struct Payload {
    std::uint8_t sha256[32];
    std::uint8_t sha512[64];
    Record* record;  // null when the unit is no longer kept
    std::size_t next;
  };
  // The kept units of the same names, in their order.
  struct Group {
    std::uint8_t names[32];  // digest
    std::size_t first;
    std::size_t last;
    std::uint64_t n_kept;
  };

  [[nodiscard]] std::size_t find_parameter(std::uint32_t device_id, std::uint32_t parameter_id) const;
  [[nodiscard]] Record* make_record(const DataUnit& unit, std::span<std::int32_t* const> levels,
                                    std::span<const RememberedTensor> previous);
  [[nodiscard]] bool remember_node(const DataUnit& unit, Record* record);
  [[nodiscard]] bool remember_payload(const DataUnit& unit, std::span<const std::uint8_t> payload, Record* record);
  void free_record(Record* record) const;
  void release(Record* record);

  const nnr_allocator& allocator_;
  std::uint64_t kept_;
  Buffer<Parameter> parameters_;
  HashIndex parameter_index_;
  Buffer<Payload> payloads_;
  HashIndex sha256_index_;
  HashIndex sha512_index_;
  Buffer<Group> groups_;
  HashIndex group_index_;
};

}  // namespace nnr
