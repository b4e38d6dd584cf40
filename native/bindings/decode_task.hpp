// SPDX-License-Identifier: Apache-2.0
// Decoding of a batch of units into arrays, on threads or in turn.
#pragma once

#include <nanobind/nanobind.h>

namespace nnr_bindings {

// Adds UpdateTree and DecodeTask to the module. Workers, UnitBatch and Fault must be registered before.
void register_decode_task(nanobind::module_& m);

}  // namespace nnr_bindings
