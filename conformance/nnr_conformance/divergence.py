# SPDX-License-Identifier: Apache-2.0
"""First divergence between the expected and the actual result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnr_conformance.arrays import Array
from nnr_conformance.expectation import Tolerance
from nnr_conformance.json_schema import json_field


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """Place and values of a divergence; unknown fields are absent."""

    layer: str = json_field("Layer that differs.")
    message: str = json_field("One-sentence description.")
    stream: int | None = json_field("Index of the stream.", default=None)
    unit: int | None = json_field("Index of the unit in the stream.", default=None)
    tensor: str | None = json_field("Name of the tensor.", default=None)
    path: str | None = json_field("Element or field, for layers that are not arrays.", default=None)
    index: tuple[int, ...] | None = json_field(
        "Index of the element, one number per dimension.", default=None
    )
    bit: int | None = json_field("Bit of the stream at which the element begins.", default=None)
    expected: str | None = json_field("Expected value.", default=None)
    actual: str | None = json_field("Actual value.", default=None)
    expected_hex: str | None = json_field(
        "Bytes of the expected value, most significant first.", default=None
    )
    actual_hex: str | None = json_field("Bytes of the actual value, most significant first.", default=None)
    n_different: int | None = json_field("Number of differing elements.", default=None)
    n_elements: int | None = json_field("Number of elements of the tensor.", default=None)


def differing(expected: Array, actual: Array, tolerance: Tolerance | None = None) -> Array:
    """Compare element by element, bit-exactly unless there is a tolerance.

    Returns
    -------
    bool[expected.size]
        True where the elements differ.
    """
    if tolerance is None:
        size = expected.dtype.itemsize
        expected_bytes = np.ascontiguousarray(expected).reshape(-1).view(np.uint8).reshape(-1, size)
        actual_bytes = np.ascontiguousarray(actual).reshape(-1).view(np.uint8).reshape(-1, size)
        unequal: Array = (expected_bytes != actual_bytes).any(axis=1)
        return unequal
    wanted = expected.reshape(-1).astype(np.float64)
    values = actual.reshape(-1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        near = np.abs(values - wanted) <= tolerance.absolute + tolerance.relative * np.abs(wanted)
        # An infinite expectation makes the relative tolerance infinite.
        near &= np.isfinite(wanted) & np.isfinite(values)
        same = (values == wanted) | (np.isnan(values) & np.isnan(wanted))
    far: Array = ~(near | same)
    return far


def first_difference(
    expected: Array,
    actual: Array,
    *,
    layer: str,
    tolerance: Tolerance | None = None,
    bits: Array | None = None,
    **place: Any,
) -> Divergence | None:
    """Find the first difference, in decoding order, between two arrays of one shape and dtype.

    Elements are decoded in the order of ``bits``; C order decides where they are equal or absent.

    Parameters
    ----------
    bits : uint32 array, optional
        Bit of the stream at which each element begins.
    **place
        ``stream``, ``unit`` and ``tensor`` for the result.
    """
    unequal = differing(expected, actual.astype(actual.dtype.newbyteorder("="), copy=False), tolerance)
    if not unequal.any():
        return None
    places = np.flatnonzero(unequal)
    flat = int(places[0])
    if bits is not None and bits.size == expected.size:
        flat = int(places[_decoding_starts(bits)[places].argmin()])
    index = tuple(int(i) for i in np.unravel_index(flat, expected.shape)) if expected.ndim else ()
    expected_value, actual_value = expected.reshape(-1)[flat], actual.reshape(-1)[flat]
    known_bit = bits is not None and bits.size > flat
    return Divergence(
        layer=layer,
        message="the first element that differs",
        index=index,
        bit=int(bits.reshape(-1)[flat]) if known_bit and bits is not None else None,
        expected=_spell(expected_value),
        actual=_spell(actual_value),
        expected_hex=_hex(expected_value),
        actual_hex=_hex(actual_value),
        n_different=int(unequal.sum()),
        n_elements=expected.size,
        **place,
    )


def _decoding_starts(bits: Array) -> Array:
    """Bit at which each element begins; an element that is not coded begins with the one before it."""
    starts: Array = bits.reshape(-1).astype(np.int64)
    coded = np.maximum.accumulate(np.where(starts > 0, np.arange(starts.size), 0))
    return np.asarray(starts[coded])


def _spell(value: Any) -> str:
    # str of a NumPy scalar round-trips; its repr, np.float32(0.1), is longer.
    return str(value)


def _hex(value: Any) -> str:
    # NumPy scalars are always in native byte order, arrays are not.
    return np.asarray(value).astype(value.dtype.newbyteorder(">")).tobytes().hex()
