# SPDX-License-Identifier: Apache-2.0
"""Rate estimation without encoding, for quantisers outside this package, and steps of LoRA adapters."""

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
from nnr_codec.rate_control.adapters import config_for_adapter

__all__ = [
    "CostTables",
    "RateEstimate",
    "TensorCoding",
    "coded_values",
    "config_for_adapter",
    "cost_tables",
    "estimate",
    "estimate_bits",
    "search_initialisations",
    "unary_length_costs",
]
