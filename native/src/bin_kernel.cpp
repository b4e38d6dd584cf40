// SPDX-License-Identifier: Apache-2.0
#include "nnr/bin_kernel.hpp"

#include "nnr/processor.hpp"

namespace nnr {

namespace {

#if defined(__x86_64__) && defined(__GNUC__)
[[gnu::target("bmi,bmi2,lzcnt"), gnu::flatten]] void encode_run_bmi(ArithmeticEncoder& engine, FastContext* contexts,
                                                                    std::span<const BinEntry> run) {
  engine.encode_run(contexts, run);
}
#endif

}  // namespace

void encode_run(ArithmeticEncoder& engine, FastContext* contexts, std::span<const BinEntry> run) {
#if defined(__x86_64__) && defined(__GNUC__)
  static const bool bmi = has_bmi();
  if (bmi) return encode_run_bmi(engine, contexts, run);
#endif
  engine.encode_run(contexts, run);
}

}  // namespace nnr
