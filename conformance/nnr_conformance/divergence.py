# SPDX-License-Identifier: Apache-2.0
"""The first place where what was found departs from what was expected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnr_conformance.arrays import Array
from nnr_conformance.expectation import Tolerance
from nnr_conformance.record import item


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """Where, expected and found. What is not known is absent."""

    layer: str = item("The layer that differs.")
    message: str = item("The difference in a sentence.")
    stream: int | None = item("Index of the stream.", default=None)
    unit: int | None = item("Index of the unit in the stream.", default=None)
    tensor: str | None = item("Name of the tensor.", default=None)
    path: str | None = item("Element or field, for layers that are not arrays.", default=None)
    index: tuple[int, ...] | None = item("Index in every dimension.", default=None)
    bit: int | None = item("Bit of the stream where the element begins.", default=None)
    expected: str | None = item("Expected.", default=None)
    found: str | None = item("Found.", default=None)
    expected_hex: str | None = item("Bytes of the expected value, most significant first.", default=None)
    found_hex: str | None = item("Bytes of the found value, most significant first.", default=None)
    n_different: int | None = item("How many elements differ.", default=None)
    n_elements: int | None = item("Of how many.", default=None)


def differing(expected: Array, found: Array, tolerance: Tolerance | None = None) -> Array:
    """bool[expected.size]: which elements differ, bit by bit unless there is a tolerance."""
    if tolerance is None:
        size = expected.dtype.itemsize
        left = np.ascontiguousarray(expected).reshape(-1).view(np.uint8).reshape(-1, size)
        right = np.ascontiguousarray(found).reshape(-1).view(np.uint8).reshape(-1, size)
        unequal: Array = (left != right).any(axis=1)
        return unequal
    wanted = expected.reshape(-1).astype(np.float64)
    given = found.reshape(-1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        near = np.abs(given - wanted) <= tolerance.absolute + tolerance.relative * np.abs(wanted)
        # Beside infinity everything is within a relative tolerance.
        near &= np.isfinite(wanted) & np.isfinite(given)
        same = (given == wanted) | (np.isnan(given) & np.isnan(wanted))
    far: Array = ~(near | same)
    return far


def first_difference(
    expected: Array,
    found: Array,
    *,
    layer: str,
    tolerance: Tolerance | None = None,
    bits: Array | None = None,
    **place: Any,
) -> Divergence | None:
    """Compare two arrays of one shape and dtype in C order.

    Parameters
    ----------
    bits : uint32 array, optional
        The bit at which each element begins.
    **place
        ``stream``, ``unit`` and ``tensor`` for the result.
    """
    unequal = differing(expected, found.astype(found.dtype.newbyteorder("="), copy=False), tolerance)
    if not unequal.any():
        return None
    flat = int(unequal.argmax())
    index = tuple(int(i) for i in np.unravel_index(flat, expected.shape)) if expected.ndim else ()
    wanted, given = expected.reshape(-1)[flat], found.reshape(-1)[flat]
    known_bit = bits is not None and bits.size > flat
    return Divergence(
        layer=layer,
        message="the first element that differs",
        index=index,
        bit=int(bits.reshape(-1)[flat]) if known_bit and bits is not None else None,
        expected=_spell(wanted),
        found=_spell(given),
        expected_hex=_hex(wanted),
        found_hex=_hex(given),
        n_different=int(unequal.sum()),
        n_elements=expected.size,
        **place,
    )


def _spell(value: Any) -> str:
    # repr of a NumPy scalar round-trips, but NumPy 2 wraps it: np.float32(0.1).
    return str(value)


def _hex(value: Any) -> str:
    # Of an array, because NumPy's scalars are always in native byte order.
    return np.asarray(value).astype(value.dtype.newbyteorder(">")).tobytes().hex()
