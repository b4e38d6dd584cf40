// SPDX-License-Identifier: Apache-2.0
// Tasks that run on worker threads without the interpreter lock: EncodeTask, a future with
// result() and cancel().
#pragma once

#include <nanobind/nanobind.h>

// Adds Workers and EncodeTask to the module. EncodeOptions must be registered before.
void register_tasks(nanobind::module_& m);
