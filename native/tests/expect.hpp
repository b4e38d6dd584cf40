// SPDX-License-Identifier: Apache-2.0
// Expectations of the C++ tests, and dumps of the states of two implementations where they differ.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>

#include "nnr/arithmetic_decoder.hpp"
#include "nnr/arithmetic_encoder.hpp"
#include "nnr/context_model.hpp"
#include "nnr/fast_context.hpp"
#include "nnr/fast_engine.hpp"

namespace test {

inline int n_failures = 0;
inline constexpr int kMaxReports = 20;

// Counts a failed expectation and reports it. `position` says where in the test's data it failed. Returns `holds`.
inline bool expect(bool holds, const char* what, std::size_t position) {
  if (!holds && ++n_failures <= kMaxReports) std::fprintf(stderr, "failed: %s at %zu\n", what, position);
  return holds;
}

// Prints the outcome of all tests and returns the exit code.
inline int report(const char* name) {
  if (n_failures == 0)
    std::printf("%s: all tests passed\n", name);
  else
    std::fprintf(stderr, "%s: %d expectations failed\n", name, n_failures);
  return n_failures == 0 ? 0 : 1;
}

inline constexpr std::size_t kContexts = nnr::kInitialisationCount;  // one context for each initialisation

// The complete state of a coder and its contexts, in the reference's form.
struct CoderState {
  std::uint64_t position = 0;  // bits read or written
  std::uint32_t range = 0;
  std::uint32_t offset = 0;  // of a decoder; the low end of an encoder
  bool overrun = false;
  std::array<nnr::ContextModel, kContexts> contexts{};

  friend bool operator==(const CoderState&, const CoderState&) = default;
};

inline std::array<nnr::ContextModel, kContexts> models_of(std::span<const nnr::FastContext, kContexts> contexts) {
  std::array<nnr::ContextModel, kContexts> models{};
  for (std::size_t i = 0; i < kContexts; ++i) models[i] = contexts[i].model();
  return models;
}

inline CoderState state_of(const nnr::ArithmeticDecoder& decoder, const std::array<nnr::ContextModel, kContexts>& contexts) {
  return {decoder.bits_read(), decoder.range(), decoder.offset(), decoder.overrun(), contexts};
}

inline CoderState state_of(const nnr::FastEngine& engine, const std::array<nnr::FastContext, kContexts>& contexts,
                           const std::uint8_t* begin) {
  return {engine.bits_read(begin), engine.range_value(), engine.offset(), engine.overrun(), models_of(contexts)};
}

inline CoderState state_of(const nnr::ArithmeticEncoder& encoder, const std::array<nnr::FastContext, kContexts>& contexts) {
  return {encoder.position(), encoder.range(), encoder.low_bits(), false, models_of(contexts)};
}

inline void dump(const char* name, const CoderState& state) {
  std::fprintf(stderr, "  %-9s  position %llu, range %u, offset %u, overrun %d\n", name,
               static_cast<unsigned long long>(state.position), state.range, state.offset, state.overrun ? 1 : 0);
}

inline void dump(const char* name, const nnr::ContextModel& context) {
  std::fprintf(stderr, "    %-9s  s0 %d, s1 %d, S %d, initialisation %d\n", name, context.s0, context.s1, context.state(),
               context.initialisation);
}

// Expects equal states. Dumps both where they differ, with the contexts that differ.
inline bool expect_same(const CoderState& reference, const CoderState& fast, const char* what, std::size_t position) {
  if (expect(reference == fast, what, position)) return true;
  if (n_failures > kMaxReports) return false;
  dump("reference", reference);
  dump("fast", fast);
  for (std::size_t i = 0; i < kContexts; ++i) {
    if (reference.contexts[i] == fast.contexts[i]) continue;
    std::fprintf(stderr, "  context %zu\n", i);
    dump("reference", reference.contexts[i]);
    dump("fast", fast.contexts[i]);
  }
  return false;
}

}  // namespace test
