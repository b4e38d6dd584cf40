// SPDX-License-Identifier: Apache-2.0
#include "data_unit.hpp"

#include <algorithm>
#include <limits>

namespace nnr {

using namespace syntax;

namespace {

constexpr Role kNameOrder[] = {Role::kWeight, Role::kG,    Role::kH,   Role::kLocalScaling, Role::kBeta,
                               Role::kGamma,  Role::kMean, Role::kVar, Role::kBias};
constexpr Role kDataOrder[] = {Role::kLocalScaling, Role::kBias,   Role::kBeta, Role::kGamma, Role::kMean,
                               Role::kVar,          Role::kWeight, Role::kG,    Role::kH};

bool is_present(Role role, std::uint32_t types) {
  switch (role) {
    case Role::kWeight:
      return (types & NNR_CPT_DC) == 0;
    case Role::kG:
    case Role::kH:
      return (types & NNR_CPT_DC) != 0;
    case Role::kLocalScaling:
      return (types & NNR_CPT_LS) != 0;
    case Role::kBias:
      return (types & NNR_CPT_BI) != 0;
    default:
      return (types & NNR_CPT_BN) != 0;
  }
}

std::size_t tensors_in_block(std::uint32_t types) {
  std::size_t count = 0;
  for (const Role role : kNameOrder) count += is_present(role, types) ? 1 : 0;
  return count;
}

std::uint64_t elements_of(std::span<const std::uint64_t> shape) {
  std::uint64_t product = 1;
  for (const std::uint64_t dimension : shape)
    if (dimension == 0) return 0;
  for (const std::uint64_t dimension : shape) product = saturating_product(product, dimension);
  return product;
}

// True if rows and rank can make a weight of this shape. Exact for products beyond 64 bits.
bool factors_fit(std::span<const std::uint64_t> shape, std::uint64_t g_rows, std::uint64_t rank) {
  if (g_rows == 0 || rank == 0) return false;
  std::uint64_t rest = 1 % g_rows;
  for (const std::uint64_t dimension : shape) rest = rest * (dimension % g_rows) % g_rows;
  return rest == 0;
}

Problem memory_problem() { return {NNR_MEMORY, {}, "", "", "out of memory"}; }

// Sums the differences up from the zero value to both sides.
bool sum_up(const syntax::Codebook& sent, Arena& arena, CodebookValues& codebook, Problem& problem, int occurrence) {
  const std::size_t n_left = sent.codebook_delta_left.size();
  const std::size_t size = n_left + 1 + sent.codebook_delta_right.size();
  auto* const values = arena.make<std::int32_t>(size);
  if (values == nullptr) {
    problem = memory_problem();
    return false;
  }
  const auto fits = [](std::int64_t value) { return value == static_cast<std::int32_t>(value); };
  std::int64_t low = sent.codebook_zero_value, high = low;
  for (std::size_t i = 0; i < n_left; ++i) low -= std::int64_t{sent.codebook_delta_left[i]} + 1;
  for (const std::uint32_t delta : sent.codebook_delta_right) high += std::int64_t{delta} + 1;
  if (!fits(low) || !fits(high)) {
    problem = {NNR_MALFORMED, {ElementId::codebook_zero_value, occurrence}, "", "format 3", "a codebook value is beyond 32 bits"};
    return false;
  }
  std::int64_t value = values[n_left] = static_cast<std::int32_t>(sent.codebook_zero_value);
  for (std::size_t i = 0; i < n_left; ++i)
    values[n_left - 1 - i] = static_cast<std::int32_t>(value -= std::int64_t{sent.codebook_delta_left[i]} + 1);
  value = sent.codebook_zero_value;
  for (std::size_t i = 0; i < sent.codebook_delta_right.size(); ++i)
    values[n_left + 1 + i] = static_cast<std::int32_t>(value += std::int64_t{sent.codebook_delta_right[i]} + 1);
  codebook = {{values, size}, static_cast<std::uint32_t>(n_left)};
  return true;
}

}  // namespace

std::uint64_t saturating_product(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  return b != 0 && a > kMost / b ? kMost : a * b;
}

std::uint64_t saturating_sum(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  return a > kMost - b ? kMost : a + b;
}

Problem read_header(const NnrCompressedDataUnitHeader& header, const nnr_limits& limits, Arena& arena, DataUnit& unit) {
  unit = {};
  unit.header = &header;
  const TopologyElementsIdsList& list = header.topology_elements_ids_list;
  const std::size_t n_names =
      header.has_topology_elements_ids_list ? list.topology_elem_id_list.size() + list.topology_elem_id_index_list.size() : 1;
  if (unit.is_block() && n_names != tensors_in_block(header.compressed_parameter_types)) {
    const ElementId element = header.has_compressed_parameter_types ? ElementId::compressed_parameter_types
                                                                    : ElementId::nnr_compressed_data_unit_payload_type;
    return {NNR_MALFORMED, {element, 0}, "", "format 3", "the number of names is not that of the block's tensors"};
  }
  Problem problem;
  if (header.has_codebook && !sum_up(header.codebook, arena, unit.codebooks[0], problem, 0)) return problem;
  if (header.has_second_codebook && !sum_up(header.second_codebook, arena, unit.codebooks[1], problem, 1)) return problem;

  if (!header.has_tensor_dimensions) return {};
  auto* const shape = arena.make<std::uint64_t>(header.tensor_dimensions.size());
  if (shape == nullptr) return memory_problem();
  std::copy(header.tensor_dimensions.begin(), header.tensor_dimensions.end(), shape);
  unit.shape = {shape, header.tensor_dimensions.size()};
  return count_elements(unit, limits);
}

Problem count_elements(DataUnit& unit, const nnr_limits& limits) {
  const NnrCompressedDataUnitHeader& header = *unit.header;
  const std::uint64_t weight = elements_of(unit.shape);
  std::uint64_t largest = weight, total = weight;
  const auto add = [&](std::uint64_t size) {
    largest = std::max(largest, size);
    total = saturating_sum(total, size);
  };
  if (unit.decomposed()) {
    const std::uint64_t g_rows = header.g_number_of_rows, rank = header.decomposition_rank;
    if (!factors_fit(unit.shape, g_rows, rank))
      return {NNR_MALFORMED, {ElementId::g_number_of_rows, 0}, "", "format 3", "the factors' rows do not divide the weight"};
    add(g_rows * rank);
    add(saturating_product(rank, weight / g_rows));
  }
  if (unit.is_block() && !unit.shape.empty()) {
    const std::size_t beside = tensors_in_block(header.compressed_parameter_types & ~static_cast<std::uint32_t>(NNR_CPT_DC)) - 1;
    for (std::size_t i = 0; i < beside; ++i) add(unit.shape[0]);
  }
  unit.n_elements = total;
  if (largest > limits.max_tensor_elements)
    return {NNR_LIMIT, {ElementId::tensor_dimensions, 0}, "", "format 3", "a tensor has more than max_tensor_elements elements"};
  return {};
}

Problem plan_tensors(DataUnit& unit, Arena& arena) {
  const NnrCompressedDataUnitHeader& header = *unit.header;
  const std::uint64_t g_rows = header.g_number_of_rows, rank = header.decomposition_rank;
  if (unit.is_block()) {
    if (unit.shape.empty())
      return {NNR_MALFORMED, {}, "count_tensor_dimensions", "format 3", "the weight of a block has no dimensions"};
    for (std::size_t i = 0; i < unit.names.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (std::ranges::equal(unit.names[i], unit.names[j]))
          return {NNR_MALFORMED, {}, "topology_elem_id_list", "format 3", "a block names two tensors alike"};
  }
  std::span<const std::uint64_t> g_shape, h_shape;
  if (unit.decomposed()) {
    if (!factors_fit(unit.shape, g_rows, rank))
      return {NNR_MALFORMED, {}, "g_number_of_rows", "format 3", "the factors' rows do not divide the weight"};
    auto* const shapes = arena.make<std::uint64_t>(4);
    if (shapes == nullptr) return memory_problem();
    shapes[0] = g_rows;
    shapes[1] = shapes[2] = rank;
    shapes[3] = elements_of(unit.shape) / g_rows;
    g_shape = {shapes, 2};
    h_shape = {shapes + 2, 2};
  }
  const std::size_t count = unit.is_block() ? unit.names.size() : 1;
  auto* const tensors = arena.make<TensorPlan>(count);
  if (tensors == nullptr) return memory_problem();
  unit.tensors = {tensors, count};
  if (!unit.is_block()) {
    tensors[0].shape = unit.shape;
    tensors[0].codebook = unit.codebooks[0];
    if (unit.decomposed()) {
      const Bytes name = unit.names[0];
      tensors[0].role = !name.empty() && name.back() == 'H' ? Role::kH : Role::kG;
      tensors[0].shape = tensors[0].role == Role::kH ? h_shape : g_shape;
    }
  } else {
    std::size_t next = 0;
    for (const Role role : kDataOrder) {
      if (!is_present(role, header.compressed_parameter_types)) continue;
      TensorPlan& tensor = tensors[next++];
      tensor.role = role;
      for (const Role before : kNameOrder) {
        if (before == role) break;
        tensor.name_index += is_present(before, header.compressed_parameter_types) ? 1 : 0;
      }
      tensor.shape = role == Role::kG        ? g_shape
                     : role == Role::kH      ? h_shape
                     : role == Role::kWeight ? unit.shape
                                             : unit.shape.first(1);
      if (tensor.scanned()) tensor.codebook = unit.codebooks[role == Role::kH ? 1 : 0];
    }
  }
  for (TensorPlan& tensor : unit.tensors) tensor.n_elements = elements_of(tensor.shape);
  return {};
}

}  // namespace nnr
