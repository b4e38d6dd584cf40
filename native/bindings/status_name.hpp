// SPDX-License-Identifier: Apache-2.0
// Names of fault classes, as Python's errors know them.
#pragma once

#include "nnr.h"

namespace nnr_bindings {

[[nodiscard]] inline const char* name_of(nnr_status status) {
  switch (status) {
    case NNR_TRUNCATED:
      return "truncated";
    case NNR_UNSUPPORTED:
      return "unsupported";
    case NNR_LIMIT:
      return "limit";
    default:
      return "malformed";
  }
}

}  // namespace nnr_bindings
