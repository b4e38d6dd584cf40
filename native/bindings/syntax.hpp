// SPDX-License-Identifier: Apache-2.0
// Units of a stream as trees: parsing and building with the generated code.
#pragma once

#include <nanobind/nanobind.h>

// Adds UnitSyntax to the module.
void register_syntax(nanobind::module_& m);
