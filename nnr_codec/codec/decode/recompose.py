# SPDX-License-Identifier: Apache-2.0
"""Recomposition of weights from local scalings and low-rank factors.

Clause: format 3 (order of tensors), 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec._native import DataUnit
from nnr_codec.model import PayloadType
from nnr_codec.model.unit_layout import Role


def weight_parts(unit: DataUnit) -> set[str]:
    """Return the names of the tensors that a weight is made from, but for those of integers."""
    if unit.payload_type == PayloadType.NNR_PT_INT:
        return set()
    roles = {Role.G.value, Role.H.value, Role.LOCAL_SCALING.value}
    if Role.LOCAL_SCALING.value in unit.roles:
        roles.add(Role.WEIGHT.value)
    return {name for name, role in zip(unit.names, unit.roles, strict=True) if role in roles}


class Recomposer:
    """Multiplier of local scalings and low-rank factors into weights.

    Low-rank factors outside blocks are in two units. The factor of the earlier unit is kept until the other arrives.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Role, tuple[str, NDArray[Any]]]] = {}

    def recompose(self, unit: DataUnit, by_name: dict[str, Any]) -> dict[str, Any]:
        """Return the tensors of a unit with its weight recomposed.

        Parameters
        ----------
        unit : DataUnit
        by_name : dict of str to array
            Values of its tensors.
        """
        roles = {Role(role): name for role, name in zip(unit.roles, unit.names, strict=True)}
        others = dict(by_name)
        weight: NDArray[Any] | None = None
        name = ""
        if Role.G in roles and Role.H in roles:
            name = roles[Role.G].removesuffix("_G")
            weight = _product(others.pop(roles[Role.G]), others.pop(roles[Role.H]), unit.shape)
        elif Role.G in roles or Role.H in roles:
            role = Role.G if Role.G in roles else Role.H
            name = roles[role].removesuffix(f"_{role.value}")
            pair = self._waiting.setdefault(name, {})
            pair[role] = roles[role], others.pop(roles[role])
            if len(pair) < 2:
                return others
            weight = _product(pair[Role.G][1], pair[Role.H][1], unit.shape)
            del self._waiting[name]
        elif Role.LOCAL_SCALING in roles:
            name = roles[Role.WEIGHT]
            weight = others.pop(name)
        if weight is None:
            return others
        if Role.LOCAL_SCALING in roles:
            scaling = others.pop(roles[Role.LOCAL_SCALING])
            weight = weight * scaling.reshape(-1, *[1] * (weight.ndim - 1))
        return {name: weight, **others}

    def left_over(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and values of the factors whose other factor is missing."""
        for pair in self._waiting.values():
            yield from pair.values()


def _product(g: NDArray[Any], h: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    # In binary64, rounded once to float32, so that the result does not depend on the summation order of the BLAS.
    return (g.astype(np.float64) @ h.astype(np.float64)).astype(np.float32).reshape(shape)
