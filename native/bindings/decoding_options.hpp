// SPDX-License-Identifier: Apache-2.0
// Limits of libnnr for calls from Python.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>

#include "nnr.h"

namespace nnr_bindings {

// For units whose limits were checked before.
inline nnr_limits unlimited() {
  constexpr std::uint64_t kNone = NNR_UNLIMITED;
  return {kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone};
}

// A bound of nnr_codec.Limits, which has checked its type and sign; None and what 64 bits do not hold bound nothing.
inline std::uint64_t bound_of(nanobind::handle bound) {
  if (bound.is_none()) return NNR_UNLIMITED;
  const std::uint64_t value = PyLong_AsUnsignedLongLong(bound.ptr());
  if (value == NNR_UNLIMITED && PyErr_Occurred() != nullptr) {
    if (PyErr_ExceptionMatches(PyExc_OverflowError) == 0) throw nanobind::python_error();
    PyErr_Clear();
  }
  return value;
}

inline nnr_limits limits_of(nanobind::handle limits) {
  const auto bound = [&](const char* name) { return bound_of(limits.attr(name)); };
  return {bound("max_stream_bytes"),   bound("max_units"),          bound("max_unit_bytes"),      bound("max_tensor_elements"),
          bound("max_total_elements"), bound("max_dimensions"),     bound("max_names"),           bound("max_name_bytes"),
          bound("max_codebook_size"),  bound("max_topology_bytes"), bound("max_expansion_ratio"), bound("expansion_floor_bytes"),
          bound("max_updates_kept")};
}

}  // namespace nnr_bindings
