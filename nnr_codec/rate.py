# SPDX-License-Identifier: Apache-2.0
"""Rate estimation without encoding, for quantisers outside this package."""

from nnr_codec.entropy.rate import (
    CostTables,
    RateEstimate,
    TensorCoding,
    coded_values,
    cost_tables,
    estimate,
    estimate_bits,
    search_initialisations,
    unary_length_costs,
)

__all__ = [
    "CostTables",
    "RateEstimate",
    "TensorCoding",
    "coded_values",
    "cost_tables",
    "estimate",
    "estimate_bits",
    "search_initialisations",
    "unary_length_costs",
]
