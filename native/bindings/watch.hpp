// SPDX-License-Identifier: Apache-2.0
// Watches of encodings that Python starts.
#pragma once

#include <nanobind/nanobind.h>

// Adds Watch to the module.
void register_watch(nanobind::module_& m);
