// SPDX-License-Identifier: Apache-2.0
// Data units of a stream as Python sees them: typed, alone or in batches that are decoded in one call.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "buffer.hpp"
#include "decoding_options.hpp"
#include "nnr/memory.hpp"
#include "stream_walk.hpp"

namespace nnr_bindings {

// A fault with the unit that has it.
struct UnitFault {
  static constexpr std::uint64_t kWholeStream = UINT64_MAX;

  nnr::Fault fault;
  std::uint64_t unit = 0;
  std::string detail = {};  // behind the text
};

// Consecutive data units, and the memory of what they refer to. Destroyed with the GIL held.
struct UnitBatch {
  struct Unit {
    nnr::WalkedUnit walked;
    std::unique_ptr<nnr::JoinedUnit> joined;  // null for a unit that came whole
  };

  explicit UnitBatch(Array<const std::uint8_t> buffer)
      : stream(std::move(buffer)), arena(std::make_shared<nnr::Arena>(nnr::kHeap)) {}

  UnitBatch(const UnitBatch&) = delete;
  UnitBatch& operator=(const UnitBatch&) = delete;

  // Places of a unit's fault count from the first bit of the stream.
  [[nodiscard]] UnitFault placed(std::size_t unit, nnr::Fault fault) const;
  // Place of an element of a unit in the buffer that holds it.
  [[nodiscard]] std::uint64_t locate(std::size_t unit, nnr::syntax::Watch place) const;

  Array<const std::uint8_t> stream;
  std::shared_ptr<nnr::Arena> arena;
  std::shared_ptr<nnr::Arena> earlier_arena;  // of the first unit, where it was read for the batch before
  std::vector<Unit> units;
  std::uint64_t n_elements = 0;
  // Of the units before: what the syntax of these units depends on.
  nnr::syntax::Scope scope;
};

// One unit of a batch. Tensors are in the order of their names.
struct BatchUnit {
  nanobind::object owner;  // keeps the batch alive
  const UnitBatch* batch = nullptr;
  std::size_t number = 0;

  [[nodiscard]] const nnr::WalkedUnit& walked() const { return batch->units[number].walked; }
  [[nodiscard]] const nnr::DataUnit& data() const { return walked().coded.data; }
};

nanobind::object text_of(nnr::syntax::Bytes text);

// False for an empty tensor whose other dimensions have a product that NumPy cannot represent. Its array is flat.
[[nodiscard]] bool fits_array(const nnr::TensorPlan& plan);

// Adds Fault, DataUnit and UnitBatch to the module.
void register_units(nanobind::module_& m);

}  // namespace nnr_bindings
