// SPDX-License-Identifier: Apache-2.0
// The parameters that tensor encoder and decoder share before the first bin, and the context models that follow from them.
// Clause: format 5.2 and 5.3.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace nnr {

// One tensor's coding parameters. `base` and `history` are not owned and must outlive every use.
struct TensorCoding {
  // Decoders check for overruns after positions that are multiples of this, so that a short codeword cannot keep one busy for a
  // huge tensor.
  static constexpr std::uint64_t kOverrunCheckInterval = 4096;

  std::uint64_t rows = 1;                 // first dimension
  std::uint64_t width = 1;                // product of the other dimensions
  int scan_order = 0;                     // 0 row-major, 1..4 blocks of side 4 << scan_order
  int unary_length = 10;                  // U of format 5.2, 1..256
  bool dependent = false;                 // dq_flag
  bool profile1 = true;                   // profile 1 of the format, else profile 0
  bool parent_present = false;            // parent_node_id_present_flag
  int qp_bits = 0;                        // width of qp_value, 0..32; 0 for an integer payload
  std::int64_t codebook_size = 0;         // 0 without a codebook and in profile 0
  std::int64_t codebook_zero = 0;         // CbZeroOffset, 0..codebook_size - 1
  const std::int32_t* base = nullptr;     // [rows * width] levels of the previous update; null without one
  const std::uint8_t* history = nullptr;  // [rows * width] 1 where any earlier update was non-zero; null without one

  [[nodiscard]] std::uint64_t size() const { return rows * width; }
  // Tensors of one row or one column have neither row skipping nor blocks.
  [[nodiscard]] bool two_dimensional() const { return rows > 1 && width > 1; }
  [[nodiscard]] bool has_row_skip_flag() const { return profile1 && two_dimensional() && codebook_size != 1; }
  // The stream has the history flag only beside row skipping and a parent (format 5.3).
  [[nodiscard]] bool has_history_flag() const { return has_row_skip_flag() && parent_present; }
  // True when contexts depend on earlier updates (format 5.6).
  [[nodiscard]] bool temporal(bool history_enabled) const { return base != nullptr || (history_enabled && history != nullptr); }
  // Side of the square blocks; 0 in row-major scans.
  [[nodiscard]] std::uint64_t block_side() const {
    return scan_order > 0 && two_dimensional() ? std::uint64_t{4} << scan_order : 0;
  }
  [[nodiscard]] std::uint64_t block_rows() const {
    const std::uint64_t side = block_side();
    return side == 0 ? 1 : (rows + side - 1) / side;
  }
  // True when the codebook has levels of one sign only, so that signs are not coded.
  [[nodiscard]] bool one_sided() const { return codebook_size > 0 && (codebook_zero == 0 || codebook_zero == codebook_size - 1); }
  // Largest magnitude of a level of this sign. Requires a codebook.
  [[nodiscard]] std::int64_t codebook_limit(bool negative) const {
    return negative ? codebook_zero : codebook_size - codebook_zero - 1;
  }
};

// Index of each context model (format 5.2). A comment gives the number of contexts of a group.
struct ContextLayout {
  static constexpr int kSignificance = 0;          // 3 for each state
  static constexpr int kSignificanceBase = 24;     // 2 for each state, beside a base level other than 0
  static constexpr int kSignificanceHistory = 40;  // 1 for each state, where the history is set
  static constexpr int kSign = 48;                 // 3
  static constexpr int kSignBase = 51;             // 2
  static constexpr int kGreater = 53;              // 2 for each greater-than flag, and as many beside a base level
  static constexpr int kPrefixCount = 31;
  static constexpr int kMaxCount = kGreater + 4 * 256 + 37;

  explicit ContextLayout(int unary_length) : unary(unary_length) { assert(unary >= 1 && unary <= 256); }

  int unary;  // number of greater-than flags, U of format 5.2
  [[nodiscard]] int greater_base() const { return kGreater + 2 * unary; }
  [[nodiscard]] int prefix() const { return kGreater + 4 * unary; }
  [[nodiscard]] int parameter_flag() const { return prefix() + 34; }
  [[nodiscard]] int row_skip() const { return prefix() + 36; }
  [[nodiscard]] int count() const { return prefix() + 37; }
};

// What the contexts of a level depend on: the value before it, the co-located level of the last update, and the state.
struct Neighbourhood {
  std::int64_t previous = 0;  // coded value before, format 5.2's n; 0 at the start of a tensor or block row
  std::int64_t base = 0;      // co-located level of the last update; 0 without one
  bool history = false;       // any earlier update was non-zero here
  int state = 0;              // state of dependent quantisation, 0..7

  // Reads base and history at a position of the tensor.
  void locate(const TensorCoding& coding, bool history_enabled, std::uint64_t position) {
    base = coding.base != nullptr ? coding.base[position] : 0;
    history = history_enabled && coding.history != nullptr && coding.history[position] != 0;
  }

  // 0 for zero, 1 for a negative value, 2 for a positive one; and a value of each class.
  [[nodiscard]] static int sign_class(std::int64_t n) { return n == 0 ? 0 : n < 0 ? 1 : 2; }

  [[nodiscard]] static std::int64_t value_of_class(std::int64_t sign_class) { return sign_class == 1 ? -1 : sign_class; }

  // The context of each kind of bin. `j` counts greater-than flags from 0.
  [[nodiscard]] int significance() const {
    // The history takes precedence over the base.
    if (history) return ContextLayout::kSignificanceHistory + state;
    if (base != 0) return ContextLayout::kSignificanceBase + 2 * state + (std::abs(base) > 1 ? 1 : 0);
    return ContextLayout::kSignificance + 3 * state + sign_class(previous);
  }
  [[nodiscard]] int sign() const {
    return base != 0 ? ContextLayout::kSignBase + (base > 0 ? 1 : 0) : ContextLayout::kSign + sign_class(previous);
  }
  [[nodiscard]] int greater(const ContextLayout& layout, int j, bool negative) const {
    if (base != 0) return layout.greater_base() + 2 * j + (std::abs(base) < j ? 1 : 0);
    return ContextLayout::kGreater + 2 * j + (negative ? 1 : 0);
  }
};

// Calls visit(context_index) for every context model whose initialisation the stream may carry, in coding order. `temporal` and
// `history` say whether the contexts beside a base and those of the history are among them.
template <class Visit>
void for_each_initialised_context(const TensorCoding& coding, bool temporal, bool history, Visit&& visit) {
  const ContextLayout layout(coding.unary_length);
  const bool codebook = coding.codebook_size > 0;
  const std::int64_t limit = std::max(coding.codebook_zero, coding.codebook_size - 1 - coding.codebook_zero);
  const auto range = [&](int begin, int count) {
    for (int i = begin; i < begin + count; ++i) visit(i);
  };
  if (coding.codebook_size != 1) {
    range(ContextLayout::kSignificance, coding.dependent ? 24 : 3);
    if (temporal) range(ContextLayout::kSignificanceBase, coding.dependent ? 16 : 2);
    if (history) range(ContextLayout::kSignificanceHistory, coding.dependent ? 8 : 1);
    if (!coding.one_sided()) range(ContextLayout::kSign, temporal ? 5 : 3);
  }
  for (int a = 0; a < 2 * coding.unary_length; ++a)
    if (!codebook || a < 2 * limit) visit(ContextLayout::kGreater + a);
  if (temporal)
    for (int a = 2 * coding.unary_length; a < 4 * coding.unary_length; ++a)
      if (!codebook || a < 2 * (limit - 1) + 2 * std::int64_t{coding.unary_length}) visit(ContextLayout::kGreater + a);
  for (int a = 0; a < ContextLayout::kPrefixCount; ++a)
    if (!codebook || coding.unary_length - 1 + ((std::int64_t{2} << a) - 1) < limit) visit(layout.prefix() + a);
}

}  // namespace nnr
