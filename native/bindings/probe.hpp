// SPDX-License-Identifier: Apache-2.0
// The bit accounting of the Python module: probe_payload.
#pragma once

#include <nanobind/nanobind.h>

void register_probe(nanobind::module_& m);
