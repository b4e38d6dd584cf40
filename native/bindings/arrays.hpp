// SPDX-License-Identifier: Apache-2.0
// Types shared by the bindings: arrays of each kind, encoder options, and conversions of results.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <span>
#include <vector>

#include "buffer.hpp"
#include "nnr/payload.hpp"

namespace nnr_bindings {

using Bytes = Array<const std::uint8_t>;
using Levels = Array<const std::int32_t>;
using MutableLevels = Array<std::int32_t>;
using Weights = Array<const float>;
using Mask = Array<const std::uint8_t>;

template <class T>
std::span<T> span_of(const Array<T>& array) {
  return {array.data(), array.size()};
}

inline void require_size(std::size_t size, const nnr::TensorCoding& coding) {
  if (size != coding.size()) throw nanobind::value_error("array size differs from rows * width");
}

inline nanobind::bytes bytes_of(const std::vector<std::uint8_t>& values) { return nanobind::bytes(values.data(), values.size()); }

inline nanobind::tuple status_tuple(const nnr::Status& status) {
  return nanobind::make_tuple(status.outcome, status.bit_position, status.tensor);
}

inline nanobind::list starts_list(const std::vector<nnr::BlockRowStart>& starts) {
  nanobind::list list;
  for (const nnr::BlockRowStart& start : starts) list.append(nanobind::make_tuple(start.position, start.offset, start.state));
  return list;
}

// Encoder options of one tensor.
struct EncodeOptions {
  std::int32_t qp_value = 0;
  bool history_enabled = false;
  bool row_skip = true;      // skip rows of zeros
  bool search = true;        // search for the cheapest initialisations
  std::uint64_t sample = 0;  // as in search_initialisations

  // The choices that follow from the options and the levels, without a search.
  [[nodiscard]] nnr::TensorChoices choices_for(const nnr::TensorCoding& coding, const std::int32_t* levels) const {
    nnr::TensorChoices choices;
    choices.qp_value = qp_value;
    choices.history_enabled = history_enabled && coding.has_history_flag();
    if (row_skip) choices.row_skip_flags = nnr::find_zero_rows(coding, levels);
    return choices;
  }
};

}  // namespace nnr_bindings
