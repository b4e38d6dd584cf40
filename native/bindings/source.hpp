// SPDX-License-Identifier: Apache-2.0
// Contents of topology units, for Python: carried items, types of tensors, patches, conversions.
#pragma once

#include <nanobind/nanobind.h>

namespace nnr_bindings {

// Adds SourceReader, CarriedItem, TypeRules, apply_patch and convert_elements to the module.
void register_source(nanobind::module_& m);

}  // namespace nnr_bindings
