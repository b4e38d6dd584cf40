// SPDX-License-Identifier: Apache-2.0
// Observers of encodings that Python starts.
#pragma once

#include <nanobind/nanobind.h>

// Adds Observer to the module.
void register_observer(nanobind::module_& m);
