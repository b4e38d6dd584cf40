// SPDX-License-Identifier: Apache-2.0
// Time of parsing the header of the median data unit of each stream named as argument: bytes to syntax elements, with every check
// of a value. The best of several runs, in nanoseconds.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "nnr/memory.hpp"
#include "parser.hpp"
#include "stream_walk.hpp"

namespace {

constexpr int kRuns = 15, kParsesPerRun = 20'000;

struct Unit {
  std::uint64_t begin;
  std::uint64_t end;
  std::size_t header_bytes;
  nnr::syntax::Scope scope;

  [[nodiscard]] std::uint64_t size() const { return end - begin; }
};

// The data units of a stream, but for those joined from parts.
std::vector<Unit> data_units(nnr::StreamWalk& walk, std::span<const std::uint8_t> stream) {
  std::vector<Unit> units;
  nnr::Arena arena(nnr::kHeap);
  nnr::WalkedUnit unit;
  if (walk.open(stream).status != NNR_OK) return units;
  while (arena.reset(), walk.next(arena, unit).status == NNR_OK) {
    if (unit.type != nnr::syntax::NNR_NDU || unit.coded.is_joined) continue;
    nnr::syntax::Scope scope;
    scope.general_profile_idc = walk.state().general_profile_idc;
    scope.mps_topology_indexed_reference_flag = walk.state().indexed_references ? 1 : 0;
    scope.mps_parent_signalling_enabled_flag = walk.state().parent_signalling ? 1 : 0;
    scope.NumReferences = static_cast<std::int64_t>(walk.reference_list().size());
    const std::uint64_t n_bytes = unit.coded.end - unit.coded.begin;
    units.push_back({unit.coded.begin, unit.coded.end, static_cast<std::size_t>(n_bytes) - unit.coded.payload.size(), scope});
  }
  return units;
}

// Seconds of a parse; negative for a unit that does not parse.
double parse_seconds(const Unit& unit, std::span<const std::uint8_t> stream, std::span<const nnr::syntax::Bytes> references) {
  const nnr_limits limits = nnr_default_limits();
  nnr::Arena arena(nnr::kHeap);
  nnr::syntax::NnrUnit parsed;
  double best = 1e9;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kParsesPerRun; ++i) {
      arena.reset();
      nnr::syntax::Parser parser(stream.data(), unit.begin, unit.end, limits, arena, references);
      parser.scope = unit.scope;
      if (!parse_nnr_unit(parser, parsed)) return -1;
    }
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best / kParsesPerRun;
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::FILE* const file = std::fopen(argv[i], "rb");
    if (file == nullptr) return 2;
    std::vector<std::uint8_t> stream(std::size_t{1} << 26);
    stream.resize(std::fread(stream.data(), 1, stream.size(), file));
    std::fclose(file);
    const nnr_options options = nnr_default_options();
    nnr::StreamWalk walk(options);
    std::vector<Unit> units = data_units(walk, stream);
    if (units.empty()) return 1;
    const auto middle = units.begin() + static_cast<std::ptrdiff_t>(units.size() / 2);
    std::nth_element(units.begin(), middle, units.end(), [](const Unit& a, const Unit& b) { return a.size() < b.size(); });
    const double seconds = parse_seconds(*middle, stream, walk.reference_list());
    if (seconds < 0) return 1;
    std::printf("%s: %zu data units, the median one of %llu bytes, its header of %zu bytes parsed in %.0f ns\n", argv[i],
                units.size(), static_cast<unsigned long long>(middle->size()), middle->header_bytes, 1e9 * seconds);
  }
  return 0;
}
