# SPDX-License-Identifier: Apache-2.0
"""Layout of a data unit: its tensors in coding order, with shape and codebook. Encoder and decoder share it."""

from __future__ import annotations

import math
from enum import Enum
from typing import NamedTuple

from nnr_codec.errors import MalformedBitstream
from nnr_codec.model import Codebook, CompressedParameterTypes, DataUnitHeader, PayloadType


class Role(Enum):
    """Purpose of a tensor in its unit."""

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
    """One tensor of a data unit.

    Attributes
    ----------
    role : Role
    name_index : int
        Position of the tensor's name in the unit's list of names.
    shape : tuple of int
    scanned : bool
        True if the unit's scan order applies to the tensor.
    codebook : Codebook or None
    """

    role: Role
    name_index: int
    shape: tuple[int, ...]
    scanned: bool
    codebook: Codebook | None

    @property
    def rows(self) -> int:
        """First dimension; 1 for a scalar."""
        return self.shape[0] if self.shape else 1

    @property
    def width(self) -> int:
        """Product of the dimensions after the first."""
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


_WEIGHT_ONLY = CompressedParameterTypes(0)

# Coding order of the tensors of a block. The order of their names is that of _roles_by_name.
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
    """Return the shapes of the low-rank factors G and H of a weight.

    Parameters
    ----------
    shape : tuple of int
        Shape of the weight.
    g_number_of_rows, rank : int
        G has shape (g_number_of_rows, rank). H has shape (rank, size / g_number_of_rows).

    Raises
    ------
    MalformedBitstream
        The number of rows of G does not divide the number of elements of the weight.

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
    """Return the tensors of a unit in coding order.

    Parameters
    ----------
    header : DataUnitHeader
    shape : tuple of int
        Dimensions of the weight, from the stream or from the caller.
    names : tuple of str
        Names of the tensors, in stream order.

    Raises
    ------
    MalformedBitstream
        The number of names is not the number of tensors, a name occurs twice, or the shapes of the factors are impossible.

    Clause: format 3
    """
    types = header.compressed_parameter_types
    # IntFlag operations are slow. Most units carry only a weight, so test identity first.
    decomposed = types is not _WEIGHT_ONLY and CompressedParameterTypes.DC in types
    if header.payload_type is not PayloadType.NNR_PT_BLOCK:
        if len(names) != 1:
            raise MalformedBitstream("a unit of one tensor has several names", clause="format 3")
        role, tensor_shape = Role.WEIGHT, shape
        if decomposed:
            g_shape, h_shape = factor_shapes(
                shape, header.g_number_of_rows or 0, header.decomposition_rank or 0
            )
            if not names[0].endswith(("_G", "_H")):
                raise MalformedBitstream(
                    "the name of a low-rank factor outside a block must end in _G or _H",
                    element="topology_elem_id",
                    clause="format 3",
                )
            role = Role.H if names[0].endswith("_H") else Role.G
            tensor_shape = h_shape if role is Role.H else g_shape
        return [PlannedTensor(role, 0, tensor_shape, True, header.codebook)]

    if not shape:
        raise MalformedBitstream(
            "the weight of a block has no dimensions", element="count_tensor_dimensions", clause="format 3"
        )
    if len(set(names)) < len(names):
        raise MalformedBitstream(
            "two tensors of a block have the same name", element="topology_elem_id_list", clause="format 3"
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
