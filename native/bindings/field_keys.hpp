// SPDX-License-Identifier: Apache-2.0
// Keys of trees as Python strings.
#pragma once

#include <nanobind/nanobind.h>

#include <array>
#include <iterator>

#include "generated/fields.hpp"

namespace nnr_bindings {

// A borrowed reference to an interned string, which lives as long as the process. With the GIL held.
inline PyObject* key_of(nnr::syntax::FieldId field) {
  static const auto interned = [] {
    std::array<PyObject*, std::size(nnr::syntax::kFieldNames)> keys{};
    for (std::size_t i = 0; i < keys.size(); ++i) {
      keys[i] = PyUnicode_InternFromString(nnr::syntax::kFieldNames[i]);
      if (keys[i] == nullptr) throw nanobind::python_error();
    }
    return keys;
  }();
  return interned[static_cast<std::size_t>(field)];
}

}  // namespace nnr_bindings
