// SPDX-License-Identifier: Apache-2.0
// A data unit with all that the decoding of its payload needs.
// Clause: format 3, 4.
#pragma once

#include <cstdint>

#include "data_unit.hpp"
#include "fault.hpp"

namespace nnr {

// Density and parameter in force.
struct Quantisation {
  bool known = false;
  std::uint32_t qp_density = 0;
  std::int32_t quantization_parameter = 0;
};

struct CodedUnit {
  DataUnit data;
  syntax::Bytes payload;
  // The unit's bytes in the buffer that holds them: the stream, or the joined unit.
  const std::uint8_t* buffer = nullptr;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool is_joined = false;
  std::uint32_t general_profile_idc = 0;
  Quantisation quantisation;

  [[nodiscard]] std::uint64_t payload_bit_offset() const { return 8 * (end - payload.size()); }
  [[nodiscard]] std::uint32_t payload_type() const { return data.header->nnr_compressed_data_unit_payload_type; }
  [[nodiscard]] bool is_raw() const { return payload_type() == syntax::NNR_PT_RAW_FLOAT; }
  [[nodiscard]] bool is_integer() const { return payload_type() == syntax::NNR_PT_INT; }

  // A fault at the payload, in the coordinates of the buffer.
  [[nodiscard]] Fault fault(const Problem& problem, nnr_stage stage) const {
    return {problem.status, stage, payload_bit_offset(), problem.element, problem.clause, problem.text};
  }
};

}  // namespace nnr
