// SPDX-License-Identifier: Apache-2.0
// Parses each unit of the streams named as arguments, and each one joined from parts, and builds it again; prints how many units
// there are, how many come out as they went in, and how many do so with the size that build_sized_unit() gives them.
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

class Rebuilder {
 public:
  explicit Rebuilder(Counts& counts) : counts_(counts) {
    limits_.max_names = limits_.max_name_bytes = limits_.max_codebook_size = limits_.max_dimensions = NNR_UNLIMITED;
    scope_.general_profile_idc = 1;
  }

  // False behind a unit that cannot be parsed: what follows may depend on it.
  bool rebuild(const Octets& unit) {
    std::vector<Bytes> references;
    for (const std::string& name : names_)
      references.push_back({reinterpret_cast<const std::uint8_t*>(name.data()), name.size()});
    scope_.NumReferences = static_cast<std::int64_t>(names_.size());
    nnr::Arena arena(kAllocator);
    Parser p(unit.data(), 0, unit.size(), limits_, arena, references);
    p.scope = scope_;
    NnrUnit parsed;
    ++counts_.n_units;
    if (!parse_nnr_unit(p, parsed) || !p.expect_end()) return false;
    const auto same = [&](Builder& b) {
      Octets built(b.head().begin(), b.head().end());
      built.insert(built.end(), b.tail().begin(), b.tail().end());
      return built == unit;
    };
    Builder b(kAllocator, references), sized(kAllocator, references);
    b.scope = sized.scope = scope_;
    counts_.n_same += build_nnr_unit(b, parsed) && same(b) ? 1 : 0;
    counts_.n_same_sized += build_sized_unit(sized, parsed) && same(sized) ? 1 : 0;
    if (parsed.has_nnr_partial_unit_payload) return join(parsed, unit);
    remember(parsed);
    return true;
  }

 private:
  // A unit joined from parts is rebuilt as a unit of its own.
  bool join(const NnrUnit& part, const Octets& unit) {
    const std::size_t size_bytes = (unit[0] & 0x80) != 0 ? 4 : 2, payload_bytes = part.nnr_partial_unit_payload.size();
    if (joined_.empty()) {
      joined_ = {static_cast<std::uint8_t>(unit[size_bytes] & ~1U)};
      joined_.insert(joined_.end(), unit.begin() + static_cast<std::ptrdiff_t>(size_bytes + 2),
                     unit.end() - static_cast<std::ptrdiff_t>(payload_bytes));
    }
    joined_.insert(joined_.end(), unit.end() - static_cast<std::ptrdiff_t>(payload_bytes), unit.end());
    if (part.partial_data_counter != 0) return true;
    const bool is_long = joined_.size() + 2 >= 1U << 15;
    const std::size_t size = joined_.size() + (is_long ? 4 : 2);
    Octets whole;
    if (is_long) whole = {static_cast<std::uint8_t>(size >> 24 | 0x80), static_cast<std::uint8_t>(size >> 16)};
    whole.push_back(static_cast<std::uint8_t>(size >> 8));
    whole.push_back(static_cast<std::uint8_t>(size));
    whole.insert(whole.end(), joined_.begin(), joined_.end());
    joined_.clear();
    return rebuild(whole);
  }

  void remember(const NnrUnit& unit) {
    if (unit.nnr_unit_type == NNR_STR) scope_.general_profile_idc = unit.nnr_start_unit_header.general_profile_idc;
    if (unit.nnr_unit_type == NNR_MPS) {
      const NnrModelParameterSetUnitPayload& mps = unit.nnr_model_parameter_set_unit_payload;
      scope_.mps_topology_indexed_reference_flag = mps.mps_topology_indexed_reference_flag;
      scope_.mps_parent_signalling_enabled_flag = mps.mps_parent_signalling_enabled_flag;
    }
    if (unit.nnr_unit_type == NNR_TPL && unit.nnr_topology_unit_payload.has_topology_elements_ids_list) {
      names_.clear();
      for (const Bytes name : unit.nnr_topology_unit_payload.topology_elements_ids_list.topology_elem_id_list)
        names_.emplace_back(reinterpret_cast<const char*>(name.data()), name.size());
    }
  }

  static constexpr nnr_allocator kAllocator = {allocate, release, nullptr};
  Counts& counts_;
  nnr_limits limits_ = {};
  Scope scope_;
  std::vector<std::string> names_;
  Octets joined_;
};

void rebuild(const Octets& stream, Counts& counts) {
  Rebuilder rebuilder(counts);
  for (std::size_t begin = 0; begin + 4 <= stream.size();) {
    std::size_t size = static_cast<std::size_t>(stream[begin]) << 8 | stream[begin + 1];
    if ((size & 0x8000) != 0) size = (size & 0x7FFF) << 16 | static_cast<std::size_t>(stream[begin + 2]) << 8 | stream[begin + 3];
    const std::size_t end = begin + size;
    if (size < 3 || end > stream.size()) return;
    if (!rebuilder.rebuild(
            {stream.begin() + static_cast<std::ptrdiff_t>(begin), stream.begin() + static_cast<std::ptrdiff_t>(end)}))
      return;
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
