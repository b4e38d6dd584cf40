// SPDX-License-Identifier: Apache-2.0
// Work begun in one call and finished in another, by several threads that need no interpreter lock.
#pragma once

#include <nanobind/nanobind.h>

// Adds the class of the threads, and what they do, to the module. Quantization and Choices are there already.
void register_batches(nanobind::module_& m);
