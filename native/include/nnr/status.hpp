// SPDX-License-Identifier: Apache-2.0
// How a tensor call ended. The core throws nothing; the bindings turn a status into one of the package's errors.
#pragma once

#include <cstdint>

namespace nnr {

enum class Outcome : std::uint8_t {
  kOk,
  kTruncated,          // the codeword needs bits beyond its end
  kLevelOverflow,      // a level does not fit 32 bits (format 5.3)
  kOffsetAboveRange,   // a block row starts with an offset its range of 256 cannot hold (format 5.5)
  kNoTermination,      // the terminating bin is 0 (format 3, payload)
  kBadStopBit,         // the last bit of the codeword is not 1, or padding is not 0 (format 5.1)
  kTrailingBytes,      // the codeword ends before its unit does
  kParityMismatch,     // encoder: a level that dependent quantisation cannot reach from its state (format 5.4)
  kNotInCodebook,      // a level outside the codebook
  kLevelInSkippedRow,  // encoder: a non-zero level in a row marked as skipped
};

struct [[nodiscard]] Status {
  Outcome outcome = Outcome::kOk;
  std::uint64_t bit_position = 0;  // decoder: bits of the codeword read so far; encoder: index of the level at fault
  std::uint32_t tensor = 0;        // which tensor of the unit, in coding order

  [[nodiscard]] bool ok() const { return outcome == Outcome::kOk; }
};

}  // namespace nnr
