// SPDX-License-Identifier: Apache-2.0
// Bit accounting of a payload: the reference decoder, with the cost of every bin recorded by context.
//
// The cost of a bin is -log2 of the share of the range that it kept. Costs add up to the codeword's length without its stop bit
// and padding.
// Clause: format 5.1 to 5.5.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nnr/arithmetic_decoder.hpp"
#include "nnr/context_bank.hpp"
#include "nnr/context_model.hpp"
#include "nnr/status.hpp"
#include "nnr/tensor_coding.hpp"
#include "nnr/tensor_decoder.hpp"

namespace nnr {

// Purpose of the bins outside the context models. The Python interface relies on the order.
enum class ProbedElement : std::uint8_t {
  kQpValue,
  kHistoryFlag,     // hist_dep_sig_prob_enabled_flag
  kRowSkipEnabled,  // row_skip_enabled_flag
  kInitialisation,  // the three bins after a parameter-initialisation flag
  kSuffix,          // bypass bins of an Exp-Golomb code
  kRangeRestart,    // range lost by setting it to 256 (format 5.5)
  kTerminate,
  kCount
};

// Number and cost of the bins of one context or one purpose.
struct BinTally {
  std::uint64_t bins = 0;
  std::uint64_t ones = 0;
  double bits = 0;  // sum of their costs

  void add(bool bin, double cost) {
    ++bins;
    ones += bin ? 1U : 0U;
    bits += cost;
  }
};

// The bins of one tensor.
struct TensorProbe {
  std::vector<BinTally> contexts;  // by index of format 5.2
  std::array<BinTally, static_cast<std::size_t>(ProbedElement::kCount)> bypass{};
  std::vector<std::int16_t> final_states;  // S of each context model after the tensor
  std::uint64_t begin_bit = 0;             // bits of the codeword read before it, and after it
  std::uint64_t end_bit = 0;
};

// The first bin whose decoding read past the watched bit.
struct WatchedBin {
  bool reached = false;
  std::uint32_t tensor = 0;
  std::int32_t context = -1;  // -1 for a bin outside the context models
  ProbedElement element = ProbedElement::kTerminate;
  std::uint64_t level = 0;  // significance flags of the tensor read so far, that of this bin's level included
};

// A Source of TensorDecoder that records every bin. A TensorProbe must outlive the decoding of its tensor.
class ProbeSource {
 public:
  // `watch_bit` counts from the first bit of the codeword; UINT64_MAX watches nothing.
  ProbeSource(std::span<const std::uint8_t> payload, std::uint64_t watch_bit);

  void begin_tensor(const TensorCoding& coding, std::uint32_t index, TensorProbe& probe);
  void end_tensor();

  [[nodiscard]] bool regular(int context);
  [[nodiscard]] bool bypass();
  [[nodiscard]] std::uint32_t bypass_bins(int count);
  [[nodiscard]] bool terminate();
  [[nodiscard]] bool restart_range();

  void initialise(int context, int initialisation) { contexts_.initialise(context, initialisation); }
  void reset_contexts() { contexts_.reset(); }

  [[nodiscard]] bool overrun() const { return engine_.overrun(); }
  [[nodiscard]] std::uint64_t bits_read() const { return engine_.bits_read(); }
  [[nodiscard]] std::uint32_t offset() const { return engine_.offset(); }
  [[nodiscard]] const WatchedBin& watched() const { return watched_; }

 private:
  [[nodiscard]] BinTally& tally(ProbedElement element) { return probe_->bypass[static_cast<std::size_t>(element)]; }
  [[nodiscard]] ProbedElement purpose_of_bypass_bins() const;
  void record(BinTally& tally, bool bin, double cost);
  void watch(int context, ProbedElement element);

  ArithmeticDecoder engine_;
  ContextBank<ContextModel> contexts_{ContextLayout::kMaxCount};
  TensorProbe* probe_ = nullptr;
  ContextLayout layout_{1};
  bool has_history_flag_ = false;
  int bypass_flags_ = 0;   // single bypass bins read in this tensor: its flags of format 5.3
  int last_context_ = -1;  // of the last regular bin of this tensor; -1 before it
  std::uint32_t tensor_ = 0;
  std::uint64_t levels_ = 0;  // significance flags read in this tensor
  std::uint64_t watch_bit_;
  WatchedBin watched_;
};

// Decodes as decode_payload_reference does. `probes` receives one entry per tensor started; after a failure the last one holds
// the bins up to the fault.
Status probe_payload(std::span<const std::uint8_t> payload, std::span<const TensorCoding> codings,
                     std::span<std::int32_t* const> levels, std::span<TensorSideData> side, std::vector<TensorProbe>& probes,
                     std::uint64_t watch_bit, WatchedBin& watched);

}  // namespace nnr
