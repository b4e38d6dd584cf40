// SPDX-License-Identifier: Apache-2.0
// Parses each unit of the streams named as arguments and builds it again; prints how many units there are, how many come out as
// they went in, and how many do so with the size that build_sized_unit() gives them.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "builder.hpp"
#include "parser.hpp"

namespace {

using namespace nnr::syntax;
using Octets = std::vector<std::uint8_t>;

void* allocate(void*, std::size_t n_bytes) { return std::malloc(n_bytes); }
void release(void*, void* block) { std::free(block); }

struct Counts {
  unsigned n_units = 0, n_same = 0, n_same_sized = 0;
};

void rebuild(const Octets& stream, Counts& counts) {
  const nnr_allocator allocator = {allocate, release, nullptr};
  nnr_limits limits = {};
  limits.max_names = limits.max_name_bytes = limits.max_codebook_size = limits.max_dimensions = NNR_UNLIMITED;
  Scope scope;
  scope.general_profile_idc = 1;
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin + 4 <= stream.size();) {
    std::size_t size = static_cast<std::size_t>(stream[begin]) << 8 | stream[begin + 1];
    if ((size & 0x8000) != 0) size = (size & 0x7FFF) << 16 | static_cast<std::size_t>(stream[begin + 2]) << 8 | stream[begin + 3];
    const std::size_t end = begin + size;
    if (size < 3 || end > stream.size()) return;
    std::vector<Bytes> references;
    for (const std::string& name : names) references.push_back({reinterpret_cast<const std::uint8_t*>(name.data()), name.size()});
    scope.NumReferences = static_cast<std::int64_t>(names.size());
    nnr::Arena arena(allocator);
    Parser p(stream.data(), begin, end, limits, arena, references);
    p.scope = scope;
    NnrUnit unit;
    ++counts.n_units;
    if (!parse_nnr_unit(p, unit) || !p.expect_end()) return;
    const auto same = [&](Builder& b) {
      Octets built(b.head().begin(), b.head().end());
      built.insert(built.end(), b.tail().begin(), b.tail().end());
      return std::equal(built.begin(), built.end(), stream.begin() + static_cast<std::ptrdiff_t>(begin),
                        stream.begin() + static_cast<std::ptrdiff_t>(end));
    };
    Builder b(allocator, references), sized(allocator, references);
    b.scope = sized.scope = scope;
    counts.n_same += build_nnr_unit(b, unit) && same(b) ? 1 : 0;
    counts.n_same_sized += build_sized_unit(sized, unit) && same(sized) ? 1 : 0;
    if (!unit.has_nnr_partial_unit_payload) {
      if (unit.nnr_unit_type == NNR_STR) scope.general_profile_idc = unit.nnr_start_unit_header.general_profile_idc;
      if (unit.nnr_unit_type == NNR_MPS) {
        const NnrModelParameterSetUnitPayload& mps = unit.nnr_model_parameter_set_unit_payload;
        scope.mps_topology_indexed_reference_flag = mps.mps_topology_indexed_reference_flag;
        scope.mps_parent_signalling_enabled_flag = mps.mps_parent_signalling_enabled_flag;
      }
      if (unit.nnr_unit_type == NNR_TPL && unit.nnr_topology_unit_payload.has_topology_elements_ids_list) {
        names.clear();
        for (const Bytes name : unit.nnr_topology_unit_payload.topology_elements_ids_list.topology_elem_id_list)
          names.emplace_back(reinterpret_cast<const char*>(name.data()), name.size());
      }
    }
    begin = end;
  }
}

}  // namespace

int main(int argc, char** argv) {
  Counts counts;
  for (int i = 1; i < argc; ++i) {
    std::FILE* const file = std::fopen(argv[i], "rb");
    if (file == nullptr) return 2;
    Octets stream(std::size_t{1} << 22);
    stream.resize(std::fread(stream.data(), 1, stream.size(), file));
    std::fclose(file);
    rebuild(stream, counts);
  }
  std::printf("%u %u %u\n", counts.n_units, counts.n_same, counts.n_same_sized);
  return 0;
}
