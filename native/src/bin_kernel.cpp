// SPDX-License-Identifier: Apache-2.0
#include "nnr/bin_kernel.hpp"

#include "nnr/processor.hpp"

namespace nnr {

namespace {

#if NNR_X86_KERNELS
[[gnu::target("bmi,bmi2,lzcnt"), gnu::flatten]] void encode_run_bmi2(ArithmeticEncoder& engine, FastContext* contexts,
                                                                     std::span<const BinEntry> run) {
  engine.encode_run(contexts, run);
}
#endif

}  // namespace

void encode_run(ArithmeticEncoder& engine, FastContext* contexts, std::span<const BinEntry> run) {
#if NNR_X86_KERNELS
  static const bool bmi2 = has_bmi2();
  if (bmi2) return encode_run_bmi2(engine, contexts, run);
#endif
  engine.encode_run(contexts, run);
}

}  // namespace nnr
