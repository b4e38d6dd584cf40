// SPDX-License-Identifier: Apache-2.0
#include "callables.hpp"

namespace nnr::syntax {

char low_rank_factor(std::span<const Bytes> names, const NnrCompressedDataUnitHeader& t) {
  if (t.nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK) return 0;
  Bytes name = t.topology_elem_id;
  if (name.empty() && t.has_topology_elem_id_index && t.topology_elem_id_index < names.size())
    name = names[t.topology_elem_id_index];
  if (name.size() < 2 || name[name.size() - 2] != '_') return 0;
  const std::uint8_t letter = name[name.size() - 1];
  return letter == 'G' || letter == 'H' ? static_cast<char>(letter) : '\0';
}

bool check_low_rank_factor(Parser& p, const NnrCompressedDataUnitHeader& t) {
  if (t.nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK || low_rank_factor(p.reference_list, t) != 0) return true;
  const ElementId element = t.has_topology_elem_id_index ? ElementId::topology_elem_id_index : ElementId::topology_elem_id;
  return p.refuse_earlier(NNR_MALFORMED, {element, 0}, "the name of a low-rank factor outside a block ends in _G or _H");
}

std::int64_t number_of_entry_points(std::span<const Bytes> names, const NnrCompressedDataUnitHeader& t) {
  const std::int64_t block = std::int64_t{4} << t.scan_order;
  const auto in_rows = [&](std::int64_t rows) { return rows > block ? (rows + block - 1) / block - 1 : 0; };
  if ((t.compressed_parameter_types & NNR_CPT_DC) == 0) return in_rows(t.tensor_dimensions[0]);
  if (t.nnr_compressed_data_unit_payload_type == NNR_PT_BLOCK) return in_rows(t.g_number_of_rows) + in_rows(t.decomposition_rank);
  return in_rows(low_rank_factor(names, t) == 'G' ? t.g_number_of_rows : t.decomposition_rank);
}

}  // namespace nnr::syntax
