# SPDX-License-Identifier: Apache-2.0
"""What the units before this one said that this one's syntax depends on."""

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
    """Passed to every parse and build, and replaced by ``state.after(unit)``.

    Nobody changes it. It is not frozen: there is one for each tensor, and frozen ones take three times as long to make.

    Attributes
    ----------
    general_profile_idc : int or None
        None before the start unit.
    mps, lps : ModelParameterSet, LayerParameterSet or None
        The parameter sets read last.
    quantization : Quantization or None
        In force for the next data unit: the layer set's, else the model set's.
    reference_list : tuple of str
        Names that indices refer to, from a topology unit.
    data_seen : bool
        Whether a compressed data unit came already.
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
        """Return the syntax elements of earlier units that later tables read."""
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
        """Return the state behind ``unit``."""
        if isinstance(unit, DataUnit):
            # The case that comes for every tensor; replace() takes three times as long.
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
        """Check that a unit of this type may come now.

        Raises
        ------
        MalformedBitstream
            With ``element`` and ``clause``; the caller knows the place.
        """
        wrong = None
        if nnr_unit_type == NnrUnitType.NNR_STR:
            if self.general_profile_idc is not None:
                wrong = "there is a second start unit"
        elif self.general_profile_idc is None:
            wrong = "the first unit is not a start unit"
        elif nnr_unit_type == NnrUnitType.NNR_MPS:
            if self.mps is not None:
                wrong = "there is a second model parameter set"
            elif self.data_seen:
                wrong = "the model parameter set comes after a compressed data unit"
        if wrong is not None:
            raise MalformedBitstream(wrong, element="nnr_unit_type", clause="format 2")

    def check_size(self, header: DataUnitHeader, stream_bytes: int, limits: Limits) -> None:
        """Check that a data unit's tensors, and all so far with them, may be allocated.

        Raises
        ------
        LimitExceeded
            With ``element`` and ``clause``; the caller knows the place.
        """
        sizes = check_tensor_sizes(header, limits)
        total = self.total_elements + sum(sizes)
        ratio, floor = limits.max_expansion_ratio, limits.expansion_floor_bytes
        wrong, element = None, "tensor_dimensions"
        if limits.max_total_elements is not None and total > limits.max_total_elements:
            wrong = f"tensors of {total} elements, and max_total_elements is {limits.max_total_elements}"
            # It is no element of this unit that is too large, but what it adds.
            element = "nnr_compressed_data_unit_payload"
        elif ratio is not None and 4 * total > max(floor, ratio * stream_bytes):
            wrong = f"{4 * total} bytes from a stream of {stream_bytes}, and max_expansion_ratio is {ratio}"
        if wrong is not None:
            raise LimitExceeded(wrong, element=element, clause="format 3")


def check_tensor_sizes(header: DataUnitHeader, limits: Limits) -> list[int]:
    """Check that each tensor of a data unit may be allocated; returns their sizes.

    Raises
    ------
    LimitExceeded
        With ``element`` and ``clause``; the caller knows the place.
    """
    sizes, bound = tensor_sizes(header), limits.max_tensor_elements
    if bound is not None and max(sizes, default=0) > bound:
        wrong = f"a tensor of {max(sizes)} elements, and max_tensor_elements is {bound}"
        raise LimitExceeded(wrong, element="tensor_dimensions", clause="format 3")
    return sizes
