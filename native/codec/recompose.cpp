// SPDX-License-Identifier: Apache-2.0
// Weights from low-rank factors and local scalings.
// Clause: format 3 (order of tensors), 4.5, 4.6.
#include <string_view>

#include "model_decoder.hpp"

namespace nnr {

namespace {

constexpr std::size_t kAbsent = HashIndex::kAbsent;

class Recomposition {
 public:
  Recomposition(nnr_model& from, nnr_model& to) : from_(from), result_(to) {}

  [[nodiscard]] bool run();

 private:
  [[nodiscard]] std::string_view name_of(std::size_t place) const {
    return {from_.tensors[place].name, from_.tensors[place].name_bytes};
  }
  // A tensor of the same unit with a role.
  [[nodiscard]] std::size_t in_unit(std::size_t place, nnr_role role) const;
  // Sets the other factor of a weight: kAbsent if there is none that fits. False without memory.
  [[nodiscard]] bool find_partner(std::size_t place, std::size_t& factor);
  [[nodiscard]] bool take_factor(std::size_t place);
  [[nodiscard]] bool add_product(std::size_t g, std::size_t h, std::size_t scaling);
  void scale(float* weight, std::uint64_t n_elements, std::size_t scaling) const;
  [[nodiscard]] bool is_single(std::size_t place) const { return from_.tensors[place].type == NNR_FLOAT32; }

  nnr_model& from_;
  nnr_model& result_;
  Buffer<std::size_t> unpaired_;
  Buffer<char> name_;
};

std::size_t Recomposition::in_unit(std::size_t place, nnr_role role) const {
  constexpr std::size_t kMost = 9;
  const std::uint64_t unit = from_.tensors[place].unit;
  const std::size_t begin = place < kMost ? 0 : place - kMost;
  for (std::size_t i = begin; i < from_.tensors.size() && i < place + kMost; ++i)
    if (from_.tensors[i].unit == unit && from_.tensors[i].role == role && is_single(i)) return i;
  return kAbsent;
}

bool Recomposition::find_partner(std::size_t place, std::size_t& factor) {
  const bool is_g = from_.tensors[place].role == NNR_ROLE_G;
  const nnr_role other = is_g ? NNR_ROLE_H : NNR_ROLE_G;
  factor = in_unit(place, other);
  const std::string_view name = name_of(place);
  if (factor == kAbsent && name.ends_with(is_g ? "_G" : "_H")) {
    name_.drop(name_.size());
    if (!name_.append(from_.options.allocator, name)) return false;
    name_[name.size() - 1] = is_g ? 'H' : 'G';
    factor = from_.find(name_.data(), name_.size());
  }
  if (factor == kAbsent) return true;
  if (from_.tensors[factor].role != other || !is_single(factor) || !is_single(place)) {
    factor = kAbsent;
    return true;
  }
  const nnr_tensor &g = from_.tensors[is_g ? place : factor], &h = from_.tensors[is_g ? factor : place];
  std::uint64_t n_elements = 1;
  for (std::size_t i = 0; i < g.n_weight_dimensions; ++i) n_elements *= g.weight_shape[i];
  const bool fits =
      g.n_dimensions == 2 && h.n_dimensions == 2 && g.shape[1] == h.shape[0] && g.shape[0] * h.shape[1] == n_elements;
  if (!fits) factor = kAbsent;
  return true;
}

void Recomposition::scale(float* weight, std::uint64_t n_elements, std::size_t scaling) const {
  const nnr_tensor& factors = from_.tensors[scaling];
  if (factors.n_elements == 0) return;
  const std::uint64_t width = n_elements / factors.n_elements;
  for (std::uint64_t i = 0; i < n_elements; ++i) weight[i] *= static_cast<const float*>(factors.values)[i / width];
}

// In binary64, in the order of the factors' common dimension, and rounded once.
bool Recomposition::add_product(std::size_t g_place, std::size_t h_place, std::size_t scaling) {
  const nnr_tensor &g = from_.tensors[g_place], &h = from_.tensors[h_place];
  const nnr_allocator& allocator = from_.options.allocator;
  const std::uint64_t rows = g.shape[0], rank = g.shape[1], width = h.shape[1];
  Buffer<double> sums;
  if (rows * width > SIZE_MAX / 8 || !sums.allocate(allocator, width)) return false;
  auto* const weight = static_cast<float*>(allocator.allocate(allocator.opaque, static_cast<std::size_t>(4 * rows * width + 1)));
  if (weight == nullptr) return false;
  const auto *const left = static_cast<const float*>(g.values), *const right = static_cast<const float*>(h.values);
  for (std::uint64_t row = 0; row < rows; ++row) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::uint64_t k = 0; k < rank; ++k)
      for (std::size_t j = 0; j < width; ++j) sums[j] += double{left[row * rank + k]} * double{right[k * width + j]};
    for (std::size_t j = 0; j < width; ++j) weight[row * width + j] = static_cast<float>(sums[j]);
  }
  if (scaling != kAbsent) scale(weight, rows * width, scaling);
  // The later factor's unit gives the shape.
  nnr_tensor tensor = g.unit > h.unit ? g : h;
  name_.drop(name_.size());
  const std::string_view name{g.name, g.name_bytes}, base = name.ends_with("_G") ? name.substr(0, name.size() - 2) : name;
  if (!name_.append(allocator, base) || !name_.append(allocator, '\0')) {
    allocator.release(allocator.opaque, weight);
    return false;
  }
  tensor.name = name_.data();
  tensor.name_bytes = base.size();
  tensor.shape = tensor.weight_shape;
  tensor.n_dimensions = tensor.n_weight_dimensions;
  tensor.weight_shape = nullptr;
  tensor.n_weight_dimensions = 0;
  tensor.n_elements = rows * width;
  tensor.n_bytes = 4 * tensor.n_elements;
  tensor.role = NNR_ROLE_WEIGHT;
  tensor.coding = NNR_CODING_RAW;
  tensor.step_size = 1.0;
  tensor.qp = 0;
  tensor.codebook = nullptr;
  tensor.codebook_size = tensor.codebook_zero = 0;
  tensor.values = weight;
  return result_.add(tensor);
}

bool Recomposition::take_factor(std::size_t place) {
  std::size_t partner = kAbsent;
  std::size_t back = kAbsent;
  if (!find_partner(place, partner)) return false;
  if (partner != kAbsent && !find_partner(partner, back)) return false;
  // A factor whose name points to one that has its other factor in its own unit stays alone.
  if (back != place) return unpaired_.append(from_.options.allocator, place);
  // At the later one of the two, which follows the other in the same unit.
  if (partner > place) return true;
  const bool is_g = from_.tensors[place].role == NNR_ROLE_G;
  return add_product(is_g ? place : partner, is_g ? partner : place, in_unit(place, NNR_ROLE_LOCAL_SCALING));
}

bool Recomposition::run() {
  for (std::size_t i = 0; i < from_.tensors.size(); ++i) {
    const nnr_tensor& tensor = from_.tensors[i];
    if (tensor.role == NNR_ROLE_G || tensor.role == NNR_ROLE_H) {
      if (!take_factor(i)) return false;
      continue;
    }
    if (tensor.role == NNR_ROLE_LOCAL_SCALING) {
      const bool is_applied = in_unit(i, NNR_ROLE_WEIGHT) != kAbsent || in_unit(i, NNR_ROLE_G) != kAbsent;
      if (is_applied) continue;
    }
    if (tensor.role == NNR_ROLE_WEIGHT && is_single(i))
      if (const std::size_t scaling = in_unit(i, NNR_ROLE_LOCAL_SCALING); scaling != kAbsent)
        scale(static_cast<float*>(const_cast<void*>(tensor.values)), tensor.n_elements, scaling);
    if (!result_.take(from_, i)) return false;
  }
  for (const std::size_t place : unpaired_)
    if (!result_.take(from_, place)) return false;
  return true;
}

}  // namespace

bool recompose(nnr_model& from, nnr_model& to) { return Recomposition(from, to).run(); }

}  // namespace nnr
