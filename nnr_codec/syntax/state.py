# SPDX-License-Identifier: Apache-2.0
"""Parse state: the values of earlier units that the syntax of a unit depends on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nnr_codec.errors import LimitExceeded, MalformedBitstream
from nnr_codec.model import (
    AnyUnit,
    DataUnit,
    DataUnitHeader,
    LayerParameterSet,
    Limits,
    ModelParameterSet,
    NnrUnitType,
    PartialUnit,
    Quantization,
    StartUnit,
    TopologyUnit,
)
from nnr_codec.syntax.data_unit_meaning import tensor_sizes


@dataclass(slots=True, unsafe_hash=True)
class SyntaxState:
    """State before a unit, an argument of every parse and build. ``state.after(unit)`` returns the next state.

    Treat it as immutable. It is not a frozen dataclass because one is created per tensor, and a frozen one takes three times
    as long to create.

    Attributes
    ----------
    general_profile_idc : int or None
        None before the start unit.
    mps, lps : ModelParameterSet, LayerParameterSet or None
        Most recent parameter sets.
    quantization : Quantization or None
        Quantisation of the next data unit: that of the layer parameter set or, without one, of the model parameter set.
    reference_list : tuple of str
        Names of a topology unit, which later units refer to by index.
    data_seen : bool
        True after the first compressed data unit.
    total_elements : int
        Elements of all tensors so far.
    """

    general_profile_idc: int | None = None
    mps: ModelParameterSet | None = None
    lps: LayerParameterSet | None = None
    quantization: Quantization | None = None
    reference_list: tuple[str, ...] = ()
    data_seen: bool = False
    total_elements: int = 0

    def variables(self) -> dict[str, Any]:
        """Return the variables of earlier units that conditions of later tables read."""
        mps = self.mps
        return {
            "general_profile_idc": 1 if self.general_profile_idc is None else self.general_profile_idc,
            "mps_topology_indexed_reference_flag": int(
                mps is not None and mps.topology_indexed_reference_flag
            ),
            "mps_parent_signalling_enabled_flag": int(mps is not None and mps.parent_signalling_enabled_flag),
            "_reference_list": self.reference_list,
            "NumReferences": len(self.reference_list),
        }

    def after(self, unit: AnyUnit) -> SyntaxState:
        """Return the state after ``unit``."""
        if isinstance(unit, DataUnit):
            # This case occurs for every tensor. replace() takes three times as long.
            total_elements = self.total_elements + sum(tensor_sizes(unit.header))
            return SyntaxState(
                self.general_profile_idc,
                self.mps,
                self.lps,
                self.quantization,
                self.reference_list,
                True,
                total_elements,
            )
        if isinstance(unit, StartUnit):
            return replace(self, general_profile_idc=unit.general_profile_idc)
        if isinstance(unit, ModelParameterSet):
            return replace(self, mps=unit, quantization=unit.quantization or self.quantization)
        if isinstance(unit, LayerParameterSet):
            return replace(self, lps=unit, quantization=unit.quantization or self.quantization)
        if isinstance(unit, TopologyUnit) and unit.topology_elem_ids:
            return replace(self, reference_list=unit.topology_elem_ids)
        if isinstance(unit, PartialUnit) and unit.nnr_unit_type == NnrUnitType.NNR_NDU:
            return replace(self, data_seen=True)
        return self

    def check_order(self, nnr_unit_type: int) -> None:
        """Check that a unit of this type is allowed at this point of the stream.

        Raises
        ------
        MalformedBitstream
            The order of units is wrong. The error has ``element`` and ``clause``; the caller adds the place.
        """
        fault = None
        if nnr_unit_type == NnrUnitType.NNR_STR:
            if self.general_profile_idc is not None:
                fault = "there is a second start unit"
        elif self.general_profile_idc is None:
            fault = "the first unit is not a start unit"
        elif nnr_unit_type == NnrUnitType.NNR_MPS:
            if self.mps is not None:
                fault = "there is a second model parameter set"
            elif self.data_seen:
                fault = "the model parameter set comes after a compressed data unit"
        if fault is not None:
            raise MalformedBitstream(fault, element="nnr_unit_type", clause="format 2")

    def check_size(self, header: DataUnitHeader, stream_bytes: int, limits: Limits) -> None:
        """Check the size of a data unit's tensors, and of all tensors so far, before allocation.

        Raises
        ------
        LimitExceeded
            A limit on elements or expansion is exceeded. The error has ``element`` and ``clause``; the caller adds the place.
        """
        sizes = check_tensor_sizes(header, limits)
        total = self.total_elements + sum(sizes)
        ratio, floor = limits.max_expansion_ratio, limits.expansion_floor_bytes
        fault, element = None, "tensor_dimensions"
        if limits.max_total_elements is not None and total > limits.max_total_elements:
            fault = (
                f"the tensors have {total} elements, and max_total_elements is {limits.max_total_elements}"
            )
            # No element of this unit is too large by itself, so the error names the payload.
            element = "nnr_compressed_data_unit_payload"
        elif ratio is not None and 4 * total > max(floor, ratio * stream_bytes):
            fault = f"{4 * total} bytes decoded from a stream of {stream_bytes}, and max_expansion_ratio is {ratio}"
        if fault is not None:
            raise LimitExceeded(fault, element=element, clause="format 3")


def check_tensor_sizes(header: DataUnitHeader, limits: Limits) -> list[int]:
    """Check the size of each tensor of a data unit, and return the sizes.

    Raises
    ------
    LimitExceeded
        A tensor exceeds ``max_tensor_elements``. The error has ``element`` and ``clause``; the caller adds the place.
    """
    sizes, bound = tensor_sizes(header), limits.max_tensor_elements
    if bound is not None and max(sizes, default=0) > bound:
        fault = f"a tensor has {max(sizes)} elements, and max_tensor_elements is {bound}"
        raise LimitExceeded(fault, element="tensor_dimensions", clause="format 3")
    return sizes
