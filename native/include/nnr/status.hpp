// SPDX-License-Identifier: Apache-2.0
// The result of a tensor call. The core throws nothing; the bindings turn a status into one of the package's errors.
#pragma once

#include <cstdint>

namespace nnr {

enum class Outcome : std::uint8_t {
  kOk,
  kTruncated,          // the codeword needs bits beyond its end
  kLevelOverflow,      // a level does not fit 32 bits (format 5.3)
  kOffsetAboveRange,   // the offset is not below the range, at the start of a codeword or of a block row (format 5.5)
  kNoTermination,      // the terminating bin is 0 (format 3, payload)
  kBadStopBit,         // the last bit of the codeword is not 1, or padding is not 0 (format 5.1)
  kTrailingBytes,      // the codeword ends before its unit does
  kParityMismatch,     // encoder: a level that the quantiser of its state does not have (format 5.4)
  kNotInCodebook,      // a level outside the codebook
  kLevelInSkippedRow,  // encoder: a non-zero level in a row marked as skipped
};

struct [[nodiscard]] Status {
  Outcome outcome = Outcome::kOk;
  std::uint64_t bit_position = 0;  // decoder: bits of the codeword read so far; encoder: index of the faulty level
  std::uint32_t tensor = 0;        // index of the tensor within the unit, in coding order

  [[nodiscard]] bool ok() const { return outcome == Outcome::kOk; }
};

}  // namespace nnr
