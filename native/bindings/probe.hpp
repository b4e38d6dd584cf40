// SPDX-License-Identifier: Apache-2.0
// The probe's part of the Python module.
#pragma once

#include <nanobind/nanobind.h>

void register_probe(nanobind::module_& m);
