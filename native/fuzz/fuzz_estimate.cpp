// SPDX-License-Identifier: Apache-2.0
// Fuzz target: the cost tables of quantisers after any values, and the costs of magnitudes under each unary length.
#include <algorithm>
#include <cmath>

#include "input.hpp"
#include "nnr/rate_estimate.hpp"
#include "nnr/rate_tables.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  fuzz::Input input(bytes, size);
  const fuzz::Tensor tensor = fuzz::take_tensor(input, /*codebooks=*/false);
  std::vector<int> candidates(input.number(1, 3));
  for (int& candidate : candidates) candidate = 1 + input.byte() % 20;
  std::vector<std::int32_t> values;
  while (!input.empty() && values.size() < 64) values.push_back(fuzz::take_level(input));

  for (const std::int64_t cost : nnr::magnitude_costs(values, candidates)) fuzz::require(cost >= 0, "costs are not negative");

  nnr::RateTables rates(tensor.coding, false, {});
  nnr::Neighbourhood neighbourhood;
  for (std::size_t i = 0; i < values.size(); ++i) {
    neighbourhood.base = tensor.base.empty() ? 0 : tensor.base[i % tensor.base.size()];
    rates.adapt(neighbourhood, values[i]);
  }
  rates.refresh(1.0);
  const auto finite = [](float cost) { return std::isfinite(cost) && cost >= 0; };
  for (std::size_t kind = 0; kind <= nnr::RateTables::kAfterPositive; ++kind)
    for (std::size_t state = 0; state < (tensor.coding.dependent ? 8U : 1U); ++state)
      fuzz::require(finite(rates.zero[kind][state]) && finite(rates.nonzero[kind][state]), "a significance bin has a cost");
  for (const std::int32_t value : values) {
    const std::int64_t magnitude = std::max<std::int64_t>(1, std::abs(static_cast<std::int64_t>(value)));
    for (const bool negative : {false, true})
      fuzz::require(finite(rates.magnitude(magnitude, negative)), "every magnitude has a cost");
  }
  return 0;
}
