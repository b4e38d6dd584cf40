# SPDX-License-Identifier: Apache-2.0
"""Which tensors a data unit holds, in which order and how each is coded: one account for encoder and decoder."""

from __future__ import annotations

import math
from enum import Enum
from typing import NamedTuple

from nnr_codec.errors import MalformedBitstream
from nnr_codec.model import Codebook, CompressedParameterTypes, DataUnitHeader, PayloadType


class Role(Enum):
    """What a tensor is to the weight of its unit."""

    WEIGHT = "weight"
    G = "G"
    H = "H"
    LOCAL_SCALING = "local scaling"
    BETA = "beta"
    GAMMA = "gamma"
    MEAN = "mean"
    VAR = "var"
    BIAS = "bias"


class PlannedTensor(NamedTuple):
    """One tensor of a unit.

    `name` is empty when the unit refers to its tensors by index.
    """

    role: Role
    name_index: int  # place of its name in the unit's list
    shape: tuple[int, ...]
    scanned: bool  # whether the unit's scan order applies
    codebook: Codebook | None

    @property
    def rows(self) -> int:
        """First dimension."""
        return self.shape[0] if self.shape else 1

    @property
    def width(self) -> int:
        """Product of the other dimensions."""
        return math.prod(self.shape[1:])


def _roles_by_name(types: CompressedParameterTypes) -> list[Role]:
    roles = [Role.G, Role.H] if types & CompressedParameterTypes.DC else [Role.WEIGHT]
    if types & CompressedParameterTypes.LS:
        roles.append(Role.LOCAL_SCALING)
    if types & CompressedParameterTypes.BN:
        roles += [Role.BETA, Role.GAMMA, Role.MEAN, Role.VAR]
    if types & CompressedParameterTypes.BI:
        roles.append(Role.BIAS)
    return roles


_NOTHING_BESIDE = CompressedParameterTypes(0)

# A block's data come in this order, its names in that of _roles_by_name.
_DATA_ORDER = [
    Role.LOCAL_SCALING,
    Role.BIAS,
    Role.BETA,
    Role.GAMMA,
    Role.MEAN,
    Role.VAR,
    Role.WEIGHT,
    Role.G,
    Role.H,
]


def factor_shapes(
    shape: tuple[int, ...], g_number_of_rows: int, rank: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the shapes of G and H for a weight of `shape`.

    Raises
    ------
    MalformedBitstream
        The rows of G do not divide the weight.

    Clause: format 3
    """
    size = math.prod(shape)
    if g_number_of_rows <= 0 or rank <= 0 or size % g_number_of_rows:
        raise MalformedBitstream(
            f"G of {g_number_of_rows} rows and rank {rank} cannot make a weight of {size} elements",
            element="g_number_of_rows",
            clause="format 3",
        )
    return (g_number_of_rows, rank), (rank, size // g_number_of_rows)


def plan_unit(header: DataUnitHeader, shape: tuple[int, ...], names: tuple[str, ...]) -> list[PlannedTensor]:
    """Return a unit's tensors in the order of their data.

    Parameters
    ----------
    header : DataUnitHeader
    shape : tuple of int
        The weight's dimensions, as sent or as known from outside.
    names : tuple of str
        The unit's names, in the order of the stream.

    Raises
    ------
    MalformedBitstream
        Names and tensors differ in number, or the factors' shapes are impossible.

    Clause: format 3
    """
    types = header.compressed_parameter_types
    # Operations on flags take their time, and most units have none.
    decomposed = types is not _NOTHING_BESIDE and CompressedParameterTypes.DC in types
    if header.payload_type is not PayloadType.NNR_PT_BLOCK:
        if len(names) != 1:
            raise MalformedBitstream("a unit of one tensor names several", clause="format 3")
        role, own_shape = Role.WEIGHT, shape
        if decomposed:
            g_shape, h_shape = factor_shapes(
                shape, header.g_number_of_rows or 0, header.decomposition_rank or 0
            )
            if not names[0].endswith(("_G", "_H")):
                raise MalformedBitstream(
                    "the name of a low-rank factor outside a block ends in _G or _H",
                    element="topology_elem_id",
                    clause="format 3",
                )
            role = Role.H if names[0].endswith("_H") else Role.G
            own_shape = h_shape if role is Role.H else g_shape
        return [PlannedTensor(role, 0, own_shape, True, header.codebook)]

    if not shape:
        raise MalformedBitstream(
            "the weight of a block has no dimensions", element="count_tensor_dimensions", clause="format 3"
        )
    if len(set(names)) < len(names):
        raise MalformedBitstream(
            "a block names two tensors alike", element="topology_elem_id_list", clause="format 3"
        )
    roles = _roles_by_name(types)
    if len(names) != len(roles):
        raise MalformedBitstream(
            f"a block of {len(roles)} tensors has {len(names)} names",
            element="count_topology_elements_minus2",
            clause="format 3",
        )
    shapes: dict[Role, tuple[int, ...]] = {Role.WEIGHT: shape}
    if decomposed:
        shapes[Role.G], shapes[Role.H] = factor_shapes(
            shape, header.g_number_of_rows or 0, header.decomposition_rank or 0
        )
    codebooks = {Role.WEIGHT: header.codebook, Role.G: header.codebook, Role.H: header.second_codebook}
    weights = (Role.WEIGHT, Role.G, Role.H)
    return [
        PlannedTensor(
            role, roles.index(role), shapes.get(role, shape[:1]), role in weights, codebooks.get(role)
        )
        for role in _DATA_ORDER
        if role in roles
    ]
