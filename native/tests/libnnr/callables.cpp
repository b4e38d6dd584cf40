// SPDX-License-Identifier: Apache-2.0
// Prints what the C++ counterparts of the syntax tables' callables say, for the test that compares them with Python's.
//
// Each line of stdin: payload_type types scan_order g_rows rank rows name index, where `-` is an empty name and -1 no index. The
// reference list is w, w_G, w_H. Each line of stdout: the factor's letter or 0, whether the check passes, the entry points.
#include "callables.hpp"

#include <cstdio>
#include <cstring>

namespace {

void* allocate(void*, std::size_t n_bytes) { return ::operator new(n_bytes); }
void release(void*, void* block) { ::operator delete(block); }

nnr::syntax::Bytes bytes_of(const char* text) { return {reinterpret_cast<const std::uint8_t*>(text), std::strlen(text)}; }

}  // namespace

int main() {
  using namespace nnr::syntax;
  const nnr_allocator allocator = {allocate, release, nullptr};
  const nnr_limits limits = {};
  const Bytes names[] = {bytes_of("w"), bytes_of("w_G"), bytes_of("w_H")};
  NnrCompressedDataUnitHeader t;
  char name[64];
  std::uint32_t rows = 0;
  long index = 0;
  while (std::scanf("%u %u %u %u %u %u %63s %ld", &t.nnr_compressed_data_unit_payload_type, &t.compressed_parameter_types,
                    &t.scan_order, &t.g_number_of_rows, &t.decomposition_rank, &rows, name, &index) == 8) {
    nnr::Arena arena(allocator);
    Parser p(nullptr, 0, 0, limits, arena, names);
    t.tensor_dimensions = {&rows, 1};
    t.has_topology_elem_id = index < 0;
    t.topology_elem_id = index < 0 && std::strcmp(name, "-") != 0 ? bytes_of(name) : Bytes{};
    t.has_topology_elem_id_index = index >= 0;
    t.topology_elem_id_index = index < 0 ? 0 : static_cast<std::uint32_t>(index);
    const char letter = low_rank_factor(names, t);
    std::printf("%c %d %lld\n", letter == 0 ? '0' : letter, check_low_rank_factor(p, t) ? 1 : 0,
                static_cast<long long>(number_of_entry_points(names, t)));
  }
  return 0;
}
