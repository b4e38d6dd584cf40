// SPDX-License-Identifier: Apache-2.0
// Where the bits of a payload go: the plain decoder's bins with the price of each, which is -log2 of the share of the
// range that the bin left. Prices add up to what the codeword's length is, but for its termination.
// Clause: format 5.1 to 5.5.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "nnr/arithmetic_decoder.hpp"
#include "nnr/context_model.hpp"
#include "nnr/status.hpp"
#include "nnr/tensor_coding.hpp"
#include "nnr/tensor_decoder.hpp"

namespace nnr {

// What bins outside the context models are for. The order is part of the Python face.
enum class ProbedElement : std::uint8_t {
  kQpValue,
  kHistoryFlag,     // hist_dep_sig_prob_enabled_flag
  kRowSkipEnabled,  // row_skip_enabled_flag
  kInitialisation,  // the three bins behind a parameter-initialisation flag
  kSuffix,          // of the Exp-Golomb code
  kRangeRestart,    // what setting the range to 256 gives away (format 5.5)
  kTerminate,
  kCount
};

// Bins and what they cost.
struct Price {
  std::uint64_t bins = 0;
  std::uint64_t ones = 0;
  double bits = 0;

  void add(bool bin, double cost) {
    ++bins;
    ones += bin ? 1U : 0U;
    bits += cost;
  }
};

// One tensor's share of a codeword.
struct TensorProbe {
  std::vector<Price> contexts;  // by index of format 5.2
  std::array<Price, static_cast<std::size_t>(ProbedElement::kCount)> bypass{};
  std::vector<std::int16_t> final_states;  // S of each context model behind the tensor
  std::uint64_t begin_bit = 0;             // bits of the codeword read before and after it
  std::uint64_t end_bit = 0;
};

// The first bin for which the decoder has had to read past a bit of interest.
struct WatchedBin {
  bool found = false;
  std::uint32_t tensor = 0;
  std::int32_t context = -1;  // -1 for a bin outside the context models
  ProbedElement element = ProbedElement::kTerminate;
  std::uint64_t level = 0;  // how many significance flags of the tensor were read, this one's level included
};

// A Source of TensorDecoder (see there) that keeps accounts.
class ProbeSource {
 public:
  // `watch_bit` counts from the codeword's first bit; UINT64_MAX watches nothing.
  ProbeSource(std::span<const std::uint8_t> payload, std::uint64_t watch_bit);

  void begin_tensor(const TensorCoding& coding, std::uint32_t index, TensorProbe& probe);
  void end_tensor();

  [[nodiscard]] bool regular(int context);
  [[nodiscard]] bool bypass();
  [[nodiscard]] std::uint32_t bypass_bins(int count);
  [[nodiscard]] bool terminate();
  [[nodiscard]] bool restart_range();

  void initialise(int context, int index) { contexts_[static_cast<unsigned>(context)].initialise(index); }
  void reset_contexts() {
    for (ContextModel& context : contexts_) context.reset();
  }

  [[nodiscard]] bool overrun() const { return engine_.overrun(); }
  [[nodiscard]] std::uint64_t bits_read() const { return engine_.bits_read(); }
  [[nodiscard]] std::uint32_t offset() const { return engine_.offset(); }
  [[nodiscard]] const WatchedBin& watched() const { return watched_; }

 private:
  [[nodiscard]] Price& price(ProbedElement element) { return probe_->bypass[static_cast<std::size_t>(element)]; }
  [[nodiscard]] ProbedElement purpose_of_bypass_bins() const;
  void charge(Price& account, bool bin, double cost);
  void watch(int context, ProbedElement element);

  ArithmeticDecoder engine_;
  std::array<ContextModel, ContextLayout::kMaxCount> contexts_{};
  TensorProbe* probe_ = nullptr;
  ContextLayout layout_{1};
  bool parent_present_ = false;
  int bypass_flags_ = 0;   // flags of format 5.3 seen in this tensor
  int last_context_ = -1;  // of the last regular bin of this tensor
  std::uint32_t tensor_ = 0;
  std::uint64_t levels_ = 0;
  std::uint64_t watch_bit_;
  WatchedBin watched_;
};

// As decode_payload; `probes` get one entry per tensor that was begun, and hold what was read when it failed.
Status probe_payload(std::span<const std::uint8_t> payload, std::span<const TensorCoding> codings,
                     std::span<std::int32_t* const> levels, std::span<TensorSideData> side, std::vector<TensorProbe>& probes,
                     std::uint64_t watch_bit, WatchedBin& watched);

}  // namespace nnr
