// SPDX-License-Identifier: Apache-2.0
// The walk over a stream, for Python.
#pragma once

#include <nanobind/nanobind.h>

namespace nnr_bindings {

// Adds StreamWalk and StreamUnit to the module. Fault and UnitBatch must be registered before.
void register_walk(nanobind::module_& m);

}  // namespace nnr_bindings
