// SPDX-License-Identifier: Apache-2.0
#include "inflate.hpp"

#include <zlib.h>

#include <algorithm>
#include <limits>

namespace nnr {

namespace {

void* allocate(void* opaque, unsigned count, unsigned n_bytes) {
  const auto& allocator = *static_cast<const nnr_allocator*>(opaque);
  return allocator.allocate(allocator.opaque, std::size_t{count} * n_bytes);
}

void release(void* opaque, void* block) {
  const auto& allocator = *static_cast<const nnr_allocator*>(opaque);
  allocator.release(allocator.opaque, block);
}

}  // namespace

InflateResult inflate_content(std::span<const std::uint8_t> octets, std::uint64_t max_bytes, const nnr_allocator& allocator,
                              Buffer<std::uint8_t>* content) {
  const bool wrapped = octets.size() >= 2 && (octets[0] & 15) == 8 && (octets[0] << 8 | octets[1]) % 31 == 0;
  z_stream stream = {};
  stream.zalloc = allocate;
  stream.zfree = release;
  stream.opaque = const_cast<nnr_allocator*>(&allocator);
  if (inflateInit2(&stream, wrapped ? MAX_WBITS : -MAX_WBITS) != Z_OK) return {NNR_MEMORY, "out of memory"};
  std::uint8_t window[2048];
  constexpr std::uint64_t kLongestStep = 1 << 18;
  std::uint64_t n_inflated = 0;
  std::size_t n_taken = 0;
  int code = Z_OK;
  if (content != nullptr) content->shrink(0);
  while (code == Z_OK) {
    if (stream.avail_in == 0) {
      const std::size_t rest = octets.size() - n_taken;
      constexpr std::size_t kMost = std::numeric_limits<unsigned>::max() / 2;
      stream.avail_in = static_cast<unsigned>(rest < kMost ? rest : kMost);
      stream.next_in = const_cast<Bytef*>(octets.data() + n_taken);
      n_taken += stream.avail_in;
    }
    // One byte beyond the limit shows that there is one.
    const std::uint64_t room = max_bytes - n_inflated;
    std::uint64_t size = sizeof window;
    if (content != nullptr) size = std::clamp<std::uint64_t>(n_inflated, size, kLongestStep);
    if (room < size) size = room + 1;
    stream.next_out = window;
    if (content != nullptr) {
      if (!content->extend(allocator, static_cast<std::size_t>(size))) {
        code = Z_MEM_ERROR;
        break;
      }
      stream.next_out = content->data() + n_inflated;
    }
    stream.avail_out = static_cast<unsigned>(size);
    code = inflate(&stream, Z_NO_FLUSH);
    n_inflated += size - stream.avail_out;
    if (content != nullptr) content->shrink(static_cast<std::size_t>(n_inflated));
    if (n_inflated > max_bytes) break;
  }
  const std::size_t n_behind = octets.size() - n_taken + stream.avail_in;
  const bool zero_behind = n_behind == 0 || (n_behind == 1 && octets.back() == 0);
  inflateEnd(&stream);
  if (code == Z_MEM_ERROR) return {NNR_MEMORY, "out of memory"};
  if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) return {NNR_MALFORMED, "the data does not inflate"};
  if (n_inflated > max_bytes) return {NNR_LIMIT, "the data inflates to more than max_topology_bytes"};
  if (code != Z_STREAM_END) return {NNR_TRUNCATED, "the data ends inside its deflate stream"};
  if (!zero_behind) return {NNR_MALFORMED, "bytes follow the deflate stream"};
  return {};
}

}  // namespace nnr
