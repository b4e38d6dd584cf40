# SPDX-License-Identifier: Apache-2.0
"""Registered features: rows of the reports, and the names by which a decoder limits its claims."""

from __future__ import annotations

FEATURES: dict[str, str] = {
    # Stream structure
    "framing": "units, sizes in 16 and 32 bits, start unit, order of units",
    "reserved-units": "unit types that a decoder skips by their size",
    "partial-units": "partial_data_counter",
    "aggregate-unit": "NNR_AGG",
    "model-parameter-set": "NNR_MPS",
    "layer-parameter-set": "NNR_LPS",
    "performance-maps": "sparsification, pruning, unification and decomposition performance maps",
    "topology": "NNR_TPL",
    "quantization-unit": "NNR_QNT",
    # Compressed data unit header
    "multiple-elements": "several topology elements in one unit",
    "indexed-reference": "topology elements named by index",
    "external-dimensions": "tensor dimensions that the stream does not carry",
    "decompressed-format": "nnr_decompressed_data_format",
    "cabac-unary-length": "cabac_unary_length_minus1 other than the default",
    "dimension-shift": "first_tensor_dimension_shift",
    "node-ids": "device_id, parameter_id, put_node_depth",
    "parent-node": "parent node by identity or by SHA of its payload",
    # Payloads
    "integer-payload": "NNR_PT_INT",
    "float-payload": "NNR_PT_FLOAT",
    "raw-float": "NNR_PT_RAW_FLOAT",
    "block-payload": "NNR_PT_BLOCK",
    "low-rank": "decomposed weights G and H",
    "local-scaling": "LS tensors",
    "batch-norm": "BN tensors",
    "bias": "BI tensors",
    # Quantisation
    "uniform": "scalar uniform quantisation",
    "qp-density": "QP densities and step sizes",
    "dependent-quantization": "dq_flag, eight states",
    "codebook": "codebook quantisation",
    "codebook-one-sided": "a codebook whose zero is its first or last entry",
    # Arithmetic decoding
    "arithmetic-engine": "range, offset, renormalisation, termination",
    "greater-flags": "unary part of a magnitude",
    "exp-golomb": "escape of a magnitude: prefix and bypass suffix",
    "context-initialization": "initialisation parameters 1 to 8",
    "row-skip": "row_skip_flag",
    "block-scan": "scan orders 1 to 4",
    "entry-points": "cabac_offset_value, dq_state, bit_offset_delta",
    # Incremental updates
    "incremental": "a sequence of streams",
    "temporal-context": "temporal_context_modeling_flag",
    "history-context": "hist_dep_sig_prob_enabled_flag",
    # Robustness
    "truncation": "a stream that ends early",
    "reserved-bits": "reserved zero bits that are one",
    "alignment": "byte_alignment patterns",
    "limits": "sizes that a decoder must bound before it allocates",
}
