// SPDX-License-Identifier: Apache-2.0
#include "nnr/feedback.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnr/feedback_search.hpp"
#include "nnr/quantizer.hpp"

namespace nnr {

namespace {

// Columns after which the errors of all lines correct the rest of their rows in one matrix product.
constexpr std::size_t kBlockColumns = 256;
// Rows of inputs whose errors correct the rest of the tensor in one matrix product.
constexpr std::size_t kBlockInputs = 64;
// Weights at the end of a row without a decision: enough to reach any state of the quantiser.
constexpr std::size_t kTail = 8;

template <bool kDependent>
class FeedbackQuantizer {
 public:
  FeedbackQuantizer(std::span<const float> weights, double step, const TensorCoding& coding, const FeedbackSettings& settings)
      : weights_(weights),
        step_(step),
        rows_(coding.rows),
        width_(coding.width),
        settings_(settings),
        rates_(coding, false, settings.initialisations) {
    rates_.refresh(settings.lambda);
  }

  void run(std::int32_t* values) {
    if (settings_.inputs_first) return by_input(values);
    const auto span = static_cast<std::size_t>(2 * settings_.interval);
    band_.assign(width_ * span, 0.0F);
    for (std::size_t i = 0; i < width_; ++i)
      for (std::size_t j = i - std::min(i, span); j < i; ++j)
        band_[(i + 1) * span - (i - j)] = settings_.coefficients[j * width_ + i];
    if (settings_.lines > 1 && rows_ > 1) return in_lockstep(values);
    std::vector<float> targets(width_);
    FeedbackLine line{weights_, width_, values, targets.data(), nullptr, settings_.row_weights, settings_.column_weights, false};
    FeedbackSearch<kDependent> search(line, step_, rates_, {settings_.coefficients, band_.data()}, settings_);
    search.extend_to(weights_.size(), width_);
    search.finish(false);
  }

 private:
  // Searches several rows in turns, a block of columns at a time, so that one matrix product corrects all of them. Each row
  // starts in state 0 of the quantiser, and the row before it ends there.
  void in_lockstep(std::int32_t* values) {
    const auto n_lines = static_cast<std::size_t>(settings_.lines);
    std::vector<float> targets(n_lines * width_);
    std::vector<float> errors(targets.size());
    std::vector<FeedbackSearch<kDependent>> searches;
    for (std::size_t row = 0; row < rows_; row += n_lines) {
      const std::size_t lines = std::min(n_lines, rows_ - row);
      searches.clear();
      searches.reserve(lines);
      for (std::size_t i = 0; i < lines; ++i) {
        const std::size_t begin = (row + i) * width_;
        const FeedbackLine line{weights_.subspan(begin, width_),
                                width_,
                                values + begin,
                                targets.data() + i * width_,
                                errors.data() + i * width_,
                                settings_.row_weights != nullptr ? settings_.row_weights + row + i : nullptr,
                                settings_.column_weights,
                                false};
        searches.emplace_back(line, step_, rates_, FeedbackCoefficients{settings_.coefficients, band_.data()}, settings_);
      }
      search_rows(searches, targets.data(), errors.data());
    }
  }

  void search_rows(std::vector<FeedbackSearch<kDependent>>& searches, float* targets, const float* errors) {
    const std::size_t tail = width_ - std::min(width_, kTail);
    std::size_t corrected = 0;  // errors before this column have corrected the whole row
    for (std::size_t begin = 0; begin < width_; begin += kBlockColumns) {
      const std::size_t end = std::min(begin + kBlockColumns, width_);
      for (FeedbackSearch<kDependent>& search : searches) {
        if (begin < tail && tail < end) {
          search.extend_to(tail, end);
          search.leave_open();
        }
        search.extend_to(end, end);
        if (end == width_) {
          search.finish(kDependent);
        } else if (end == tail) {
          search.leave_open();
        }
      }
      if (end == width_) break;
      const std::size_t decided = searches.front().decided();
      add_corrections(
          targets + end, width_, searches.size(), width_ - end,
          {errors + corrected, width_, 1, settings_.coefficients + corrected * width_ + end, width_, decided - corrected});
      corrected = decided;
    }
  }

  // Searches a tensor of shape [inputs, outputs]. The weights of one input do not correct one another; their errors correct the
  // weights of later inputs.
  void by_input(std::int32_t* values) {
    std::vector<float> targets(weights_.size());
    const double inverse = 1.0 / step_;
    for (std::size_t n = 0; n < weights_.size(); ++n) targets[n] = static_cast<float>(weights_[n] * inverse);
    std::vector<float> errors(weights_.size());
    std::vector<float> column(rows_);
    FeedbackLine line{weights_, width_, values, targets.data(), errors.data(), settings_.column_weights, settings_.row_weights,
                      true};
    FeedbackSearch<kDependent> search(line, step_, rates_, {}, settings_);
    for (std::size_t begin = 0; begin < rows_; begin += kBlockInputs) {
      const std::size_t end = std::min(begin + kBlockInputs, rows_);
      for (std::size_t row = begin; row < end; ++row) {
        // The corrections of this row by the rows of the block before it, and then those of the rest by the whole block.
        correct_rows(targets.data(), errors.data(), {begin, row}, {row, row + 1});
        search.extend_to((row + 1) * width_, 0);
        search.finish(false);
      }
      correct_rows(targets.data(), errors.data(), {begin, end}, {end, rows_});
    }
  }

  // Rows first..last of a tensor, without the last.
  struct Rows {
    std::size_t first;
    std::size_t last;
  };

  // Adds the errors of some rows to the targets of others.
  void correct_rows(float* targets, const float* errors, Rows sources, Rows corrected) {
    if (sources.first == sources.last || corrected.first == corrected.last) return;
    // targets[i][n] += sum over j of coefficients[j][i] * errors[j][n]
    add_corrections(targets + corrected.first * width_, width_, corrected.last - corrected.first, width_,
                    {settings_.coefficients + sources.first * rows_ + corrected.first, 1, rows_, errors + sources.first * width_,
                     width_, sources.last - sources.first});
  }

  const std::span<const float> weights_;
  const double step_;
  const std::size_t rows_;
  const std::size_t width_;
  const FeedbackSettings& settings_;
  RateTables rates_;
  std::vector<float> band_;
};

template <bool kDependent>
void quantize(std::span<const float> weights, double step, const TensorCoding& coding, const FeedbackSettings& settings,
              std::int32_t* values) {
  FeedbackQuantizer<kDependent>(weights, step, coding, settings).run(values);
  if constexpr (kDependent) values_to_levels({values, static_cast<std::size_t>(coding.size())});
}

}  // namespace

std::size_t quantize_feedback(std::span<const float> weights, double step, const TensorCoding& coding,
                              const FeedbackSettings& settings, std::int32_t* levels) {
  assert(weights.size() == coding.size() && coding.codebook_size == 0 && coding.base == nullptr && coding.block_side() == 0);
  assert(settings.survivors >= 1 && settings.survivors <= kMaxSurvivors && settings.interval >= 8 && settings.lines >= 1);
  const std::size_t position = find_out_of_range(weights, step, std::min(kMaxLevel, kMaxTarget));
  if (position != weights.size()) return position;
  (coding.dependent ? quantize<true> : quantize<false>)(weights, step, coding, settings, levels);
  return weights.size();
}

}  // namespace nnr
