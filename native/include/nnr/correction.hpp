// SPDX-License-Identifier: Apache-2.0
// Corrections of later weights by the errors of earlier ones: a matrix product in single precision.
//
// Every target receives its products in the order of the errors, whatever the blocking, the vector width and the threads, so that
// levels do not depend on the machine.
#pragma once

#include <cstddef>

namespace nnr {

struct Corrections {
  const float* errors = nullptr;  // [lines][error_stride]: errors of `depth` earlier weights at error_step from one another
  std::size_t error_stride = 0;
  std::size_t error_step = 1;
  const float* coefficients = nullptr;  // [depth][coefficient_stride]: coefficient of the later weights for each error
  std::size_t coefficient_stride = 0;
  std::size_t depth = 0;
};

// Adds errors x coefficients to targets[lines][target_stride], `count` targets of each line.
void add_corrections(float* targets, std::size_t target_stride, std::size_t lines, std::size_t count,
                     const Corrections& corrections);

}  // namespace nnr
