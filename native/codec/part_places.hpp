// SPDX-License-Identifier: Apache-2.0
// A unit joined from parts, and the place in the stream of each of its bytes.
// Clause: format 2.4.
#pragma once

#include <cstdint>
#include <span>

#include "nnr/memory.hpp"

namespace nnr {

class JoinedUnit {
 public:
  // Makes room for a unit of `n_bytes`. False when there is no memory.
  [[nodiscard]] bool start(const nnr_allocator& allocator, std::uint64_t n_bytes) {
    pieces_.clear();
    n_bytes_ = 0;
    return bytes_.allocate(allocator, n_bytes);
  }
  void clear() {
    pieces_.clear();
    bytes_.clear();
  }

  // Appends bytes that stand at `stream_byte` of the stream.
  [[nodiscard]] bool append(const nnr_allocator& allocator, std::span<const std::uint8_t> octets, std::uint64_t stream_byte) {
    if (!pieces_.append(allocator, {n_bytes_, stream_byte})) return false;
    for (const std::uint8_t octet : octets) bytes_[static_cast<std::size_t>(n_bytes_++)] = octet;
    return true;
  }

  // Appends a byte of the frame: it counts as the one at `stream_byte`.
  [[nodiscard]] bool append(const nnr_allocator& allocator, std::uint8_t octet, std::uint64_t stream_byte) {
    return append(allocator, std::span(&octet, 1), stream_byte);
  }

  // A run of bytes, and its place in the stream.
  struct Piece {
    std::uint64_t unit_byte;
    std::uint64_t stream_byte;
  };
  [[nodiscard]] std::span<const Piece> pieces() const { return {pieces_.data(), pieces_.size()}; }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return {bytes_.data(), bytes_.size()}; }

  // Place in the stream of a bit of the unit.
  [[nodiscard]] std::uint64_t absolute(std::uint64_t bit) const {
    const Piece* piece = pieces_.begin();
    for (const Piece& candidate : pieces_)
      if (candidate.unit_byte <= bit >> 3) piece = &candidate;
    return bit - 8 * piece->unit_byte + 8 * piece->stream_byte;
  }

 private:
  Buffer<std::uint8_t> bytes_;
  Buffer<Piece> pieces_;
  std::uint64_t n_bytes_ = 0;
};

}  // namespace nnr
