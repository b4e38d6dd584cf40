# SPDX-License-Identifier: Apache-2.0
"""Weights put together again from what they were taken apart into.

Clause: format 3 (order of tensors), 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.decode.unit_decoder import UnitTensor
from nnr_codec.codec.stream.stream_reader import DataUnitInStream
from nnr_codec.model.unit_layout import Role


class Recomposer:
    """Multiplies local scalings and low-rank factors into their weights.

    Factors outside blocks come in two units; the first waits for the second.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Role, tuple[str, NDArray[Any]]]] = {}

    def recompose(
        self, unit: DataUnitInStream, tensors: Sequence[UnitTensor], by_name: dict[str, Any]
    ) -> dict[str, Any]:
        """Return a unit's tensors with its weight whole; `by_name` holds them as they were sent."""
        roles = {t.planned.role: unit.names[t.planned.name_index] for t in tensors}
        rest = dict(by_name)
        weight: NDArray[Any] | None = None
        name = ""
        if Role.G in roles and Role.H in roles:
            name = roles[Role.G].removesuffix("_G")
            weight = _product(rest.pop(roles[Role.G]), rest.pop(roles[Role.H]), unit.shape)
        elif Role.G in roles or Role.H in roles:
            role = Role.G if Role.G in roles else Role.H
            name = roles[role].removesuffix(f"_{role.value}")
            pair = self._waiting.setdefault(name, {})
            pair[role] = roles[role], rest.pop(roles[role])
            if len(pair) < 2:
                return rest
            weight = _product(pair[Role.G][1], pair[Role.H][1], unit.shape)
            del self._waiting[name]
        elif Role.LOCAL_SCALING in roles:
            name = roles[Role.WEIGHT]
            weight = rest.pop(name)
        if weight is None:
            return rest
        if Role.LOCAL_SCALING in roles:
            scaling = rest.pop(roles[Role.LOCAL_SCALING])
            weight = weight * scaling.reshape(-1, *[1] * (weight.ndim - 1))
        return {name: weight, **rest}

    def left_over(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield factors whose partner never came, as they were sent."""
        for pair in self._waiting.values():
            yield from pair.values()


def _product(g: NDArray[Any], h: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    # In binary64 and rounded once, so that the result does not depend on a BLAS's order of summation.
    return (g.astype(np.float64) @ h.astype(np.float64)).astype(np.float32).reshape(shape)
