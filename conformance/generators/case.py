# SPDX-License-Identifier: Apache-2.0
"""Cases: vectors before their expectations are computed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from nnr_conformance.expectation import ErrorClass, Stage, Tolerance

#: Version of all suites, the generated ones included.
VERSION = "3.0.0"

#: Clauses and syntax elements that a feature exercises. A case may add to both.
FEATURES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "framing": (("2.1", "2.2"), ("nnr_unit_size_flag", "nnr_unit_size", "nnr_unit_type")),
    "reserved-units": (("2.11",), ("nnr_unit_type",)),
    "partial-units": (("2.4",), ("partial_data_counter_present_flag", "partial_data_counter")),
    "aggregate-unit": (("2.10",), ("nnr_unit_type",)),
    "model-parameter-set": (("2.5",), ("mps_quantization_method_flags",)),
    "layer-parameter-set": (("2.6",), ("lps_quantization_method_flags",)),
    "performance-maps": (("2.7",), ("mps_sparsification_flag",)),
    "topology": (("2.8",), ("topology_storage_format", "topology_compression_format")),
    "quantization-unit": (("2.9",), ("quantization_storage_format", "quantization_data")),
    "multiple-elements": (("3.2.1",), ("nnr_multiple_topology_elements_present_flag",)),
    "indexed-reference": (("3.2.1",), ("mps_topology_indexed_reference_flag", "topology_elem_id_index")),
    "external-dimensions": (("3.3",), ("tensor_dimensions_flag",)),
    "decompressed-format": (("3.2",), ("nnr_decompressed_data_format",)),
    "cabac-unary-length": (("3.2", "5.3.3"), ("cabac_unary_length_minus1",)),
    "dimension-shift": (("3.2",), ("first_tensor_dimension_shift",)),
    "node-ids": (("3.2.2",), ("node_id_present_flag", "device_id", "parameter_id", "put_node_depth")),
    "parent-node": (("3.2.2", "5.6.1"), ("parent_node_id_present_flag", "parent_node_id_type")),
    "integer-payload": (("3.1", "4.4"), ("nnr_compressed_data_unit_payload_type",)),
    "float-payload": (("3.1", "3.5"), ("nnr_compressed_data_unit_payload_type",)),
    "raw-float": (("3.1", "3.5"), ("nnr_compressed_data_unit_payload_type",)),
    "block-payload": (("3.4",), ("nnr_compressed_data_unit_payload_type", "compressed_parameter_types")),
    "low-rank": (("3.4",), ("decomposition_rank", "g_number_of_rows")),
    "local-scaling": (("3.4",), ("compressed_parameter_types",)),
    "batch-norm": (("3.4",), ("compressed_parameter_types",)),
    "bias": (("3.4",), ("compressed_parameter_types",)),
    "uniform": (("4.1", "4.2"), ("mps_quantization_parameter",)),
    "qp-density": (("4.1",), ("mps_qp_density", "mps_quantization_parameter")),
    "dependent-quantization": (("5.4",), ("dq_flag",)),
    "codebook": (("3.2.3", "4.3"), ("codebook_present_flag", "codebook_size", "codebook_zero_value")),
    "codebook-one-sided": (("3.2.3", "5.3.3"), ("codebook_center_offset",)),
    "arithmetic-engine": (("5.1",), ("nnr_compressed_data_unit_payload",)),
    "greater-flags": (("5.3.3",), ("cabac_unary_length_minus1",)),
    "exp-golomb": (("5.3.3",), ("nnr_compressed_data_unit_payload",)),
    "context-initialization": (("5.1.3", "5.3.2"), ("nnr_compressed_data_unit_payload",)),
    "row-skip": (("5.3.1",), ("nnr_compressed_data_unit_payload",)),
    "block-scan": (("5.5",), ("scan_order",)),
    "entry-points": (("3.2.4", "5.5.2"), ("cabac_offset_value", "bit_offset_delta1")),
    "incremental": (("5.6",), ("mps_parent_signalling_enabled_flag",)),
    "temporal-context": (("5.6.2",), ("temporal_context_modeling_flag",)),
    "history-context": (("5.6.3",), ("parent_node_id_present_flag",)),
    "truncation": (("7.2",), ("nnr_unit_size",)),
    "reserved-bits": (("2.5", "2.6"), ("nnr_unit_type",)),
    "alignment": (("1.3",), ("byte_alignment",)),
    "limits": (("7.3",), ("nnr_unit_size",)),
}


_CLASSES: dict[str, ErrorClass] = {name: name for name in get_args(ErrorClass)}


def error_classes(words: str) -> tuple[ErrorClass, ...]:
    """Return the error classes that are named, separated by blanks; raises KeyError on another word."""
    return tuple(_CLASSES[word] for word in words.split())


@dataclass
class Fault:
    """Expected rejection of an invalid vector.

    Parameters
    ----------
    classes : tuple of str
        Acceptable error classes, that of the specification first.
    element : str, optional
        Syntax element at fault.
    bits : (int, int), optional
        Bits [begin, end] of the fault; taken from the implementations if absent.
    limit_stage : str, optional
        Stage of a rejection of class ``limit``, where it differs.
    """

    classes: tuple[ErrorClass, ...]
    stage: Stage
    element: str | None = None
    bits: tuple[int, int] | None = None
    parent: str | None = None
    mutation: str = ""
    stream: int = 0
    limit_stage: Stage | None = None


@dataclass
class Case:
    """Case of one vector."""

    id: str
    purpose: str
    profile: Literal[0, 1]
    features: tuple[str, ...]
    streams: list[bytes]
    clauses: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    requirement: Literal["shall", "should"] = "shall"
    verdict: str = "accept"
    fault: Fault | None = None
    bounds: tuple[float, int] | None = None
    tool: str = "conformance/generators/generate.py"
    tool_version: str = ""
    seed: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    comment: str = ""
    dimensions: dict[str, tuple[int, ...]] | None = None
    tolerance: Tolerance | None = None
    weight_shape: tuple[int, ...] | None = None

    def all_clauses(self) -> tuple[str, ...]:
        """Clauses of the case and of its features."""
        clauses = dict.fromkeys(self.clauses)
        for feature in self.features:
            clauses |= dict.fromkeys(FEATURES[feature][0])
        return tuple(clauses)

    def all_elements(self) -> tuple[str, ...]:
        """Syntax elements of the case and of its features."""
        elements = dict.fromkeys(self.elements)
        for feature in self.features:
            elements |= dict.fromkeys(FEATURES[feature][1])
        return tuple(elements)


class Collection:
    """Cases of a suite, in order of declaration."""

    def __init__(self, suite: str, profile: Literal[0, 1]) -> None:
        self.suite = suite
        self.profile = profile
        self.cases: list[Case] = []
        self.by_id: dict[str, Case] = {}

    def add(
        self, name: str, purpose: str, features: str, streams: bytes | Sequence[bytes], **rest: Any
    ) -> Case:
        """Declare a case; blanks separate the ``features``."""
        listed = [streams] if isinstance(streams, bytes) else list(streams)
        rest.setdefault("profile", self.profile)
        case = Case(f"{self.suite}/{name}", purpose, features=tuple(features.split()), streams=listed, **rest)
        if case.id in self.by_id:
            raise ValueError(f"{case.id} is declared twice")
        self.cases.append(case)
        self.by_id[case.id] = case
        return case


def rng_of(name: str) -> random.Random:
    """Create the random generator of a name, so that cases are independent of each other."""
    return random.Random(f"nnr vectors: {name}")
