# SPDX-License-Identifier: Apache-2.0
"""3.4 Tensors of a data unit, in payload order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .data_unit import (
    NNR_CPT_DC,
    NNR_PT_BLOCK,
    Codebook,
    DataUnitHeader,
    product,
    roles_by_name,
    tensor_sizes,
)
from .descriptors import BitReader


@dataclass(frozen=True)
class TensorPlan:
    """3.4 Name, shape, role and codebook of a tensor."""

    name: str
    shape: tuple[int, ...]
    role: str
    codebook: Codebook | None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return product(self.shape)

    @property
    def rows(self) -> int:
        """First dimension; 1 without dimensions."""
        return self.shape[0] if self.shape else 1

    @property
    def width(self) -> int:
        """Product of the other dimensions; 1 without them."""
        return product(self.shape[1:])


def plan_tensors(
    header: DataUnitHeader, dimensions: Mapping[str, tuple[int, ...]], payload: BitReader
) -> tuple[TensorPlan, ...]:
    """Return the tensors of a unit, in payload order.

    Parameters
    ----------
    dimensions : mapping
        Shapes that the application supplies, by name, for units without dimensions.

    Raises
    ------
    Malformed
        When the shape is unknown, a block unit's weight has no dimension, or a name occurs twice.

    Clause: 3.3, 3.4
    """
    names, shape = header.names, header.tensor_dimensions
    types, rank, g_rows = (
        header.compressed_parameter_types,
        header.decomposition_rank,
        header.g_number_of_rows,
    )
    codebooks = header.codebook, header.second_codebook
    if shape is None:
        if names[0] not in dimensions:
            raise payload.malformed(
                "neither the stream nor the caller gives the dimensions", "tensor_dimensions", 0, "3.3"
            )
        shape = dimensions[names[0]]
    decomposed = bool(types & NNR_CPT_DC)
    g_shape = h_shape = shape
    if decomposed:
        tensor_sizes(payload, header.payload_type, types, rank, g_rows, shape, 0)
        g_shape, h_shape = (g_rows, rank), (rank, product(shape) // g_rows)
    if header.payload_type != NNR_PT_BLOCK:
        name = names[0]
        if not decomposed:
            return (TensorPlan(name, shape, "weight", codebooks[0]),)
        if name.endswith("_G"):
            return (TensorPlan(name, g_shape, "G", codebooks[0]),)
        return (TensorPlan(name, h_shape, "H", codebooks[0]),)
    if not shape:
        raise payload.malformed("a block's weight has no dimension", "count_tensor_dimensions", 0, "3.4")
    if len(set(names)) != len(names):
        raise payload.malformed("a name twice in one unit", "topology_elem_id", 0, "3.2.1")
    name_of = dict(zip(roles_by_name(types), names, strict=True))
    tensors = [
        TensorPlan(name_of[role], shape[:1], role, None)
        for role in ("LS", "bias", "beta", "gamma", "mean", "var")
        if role in name_of
    ]
    if decomposed:
        tensors.append(TensorPlan(name_of["G"], g_shape, "G", codebooks[0]))
        tensors.append(TensorPlan(name_of["H"], h_shape, "H", codebooks[1]))
    else:
        tensors.append(TensorPlan(name_of["weight"], shape, "weight", codebooks[0]))
    return tuple(tensors)
