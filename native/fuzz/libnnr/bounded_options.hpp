// SPDX-License-Identifier: Apache-2.0
// Options under which no input takes long.
#pragma once

#include <nnr.h>

inline nnr_options bounded_options() {
  nnr_options options = nnr_default_options();
  options.limits.max_tensor_elements = 1U << 9;
  options.limits.max_total_elements = 1U << 10;
  options.limits.max_names = 1U << 10;
  options.limits.max_codebook_size = 1U << 10;
  options.limits.max_updates_kept = 2;
  return options;
}
