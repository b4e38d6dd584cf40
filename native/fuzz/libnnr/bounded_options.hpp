// SPDX-License-Identifier: Apache-2.0
// Options under which no input takes long: ten million executions in minutes.
#pragma once

#include <nnr.h>

#include <cstddef>

// `choice` selects the view.
inline nnr_options bounded_options(std::size_t choice) {
  nnr_options options = nnr_default_options();
  options.view = choice % 2 == 0 ? NNR_SOURCE : NNR_CODED;
  options.limits.max_tensor_elements = 1U << 9;
  options.limits.max_total_elements = 1U << 10;
  options.limits.max_names = 1U << 10;
  options.limits.max_codebook_size = 1U << 10;
  options.limits.max_topology_bytes = 1U << 12;
  options.limits.max_updates_kept = 2;
  return options;
}
