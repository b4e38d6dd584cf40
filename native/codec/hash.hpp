// SPDX-License-Identifier: Apache-2.0
// SHA-256 and SHA-512, by which updates name the payload of their parent.
// Source: FIPS 180-4.
#pragma once

#include <cstdint>
#include <span>

namespace nnr {

void sha256(std::span<const std::uint8_t> message, std::uint8_t digest[32]);
void sha512(std::span<const std::uint8_t> message, std::uint8_t digest[64]);

}  // namespace nnr
