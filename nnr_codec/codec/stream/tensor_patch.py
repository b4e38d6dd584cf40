# SPDX-License-Identifier: Apache-2.0
"""Patches: elements of a tensor that quantisation has no place for, such as NaN and infinities, by position and value.

A tensor with few such elements is quantised with zeros in their places, and the patch puts them back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.errors import MalformedBitstream

_GAPS, _BITMAP = 0, 1


@dataclass(frozen=True)
class TensorPatch:
    """Elements of one tensor.

    Attributes
    ----------
    positions : int64[n]
        Of the elements in C order, increasing.
    values : float32[n]
        With the bits of NaN as they are.
    """

    positions: NDArray[np.int64]
    values: NDArray[np.float32]

    @classmethod
    def of_nonfinite(cls, weights: NDArray[np.float32]) -> TensorPatch:
        """Return the patch of the elements that are not finite."""
        positions = np.flatnonzero(~np.isfinite(weights))
        return cls(positions, weights[positions])

    def to_bytes(self) -> bytes:
        """Return the patch: positions as a bitmap or as differences, whichever is smaller, and the values.

        The bytes are one byte for the form (0 differences as LEB128, 1 bitmap up to the last element), one for whether all
        values are one, the number of elements as LEB128, the positions, and the values as little-endian binary32.
        """
        bits = self.values.astype("<f4").view("<u4")
        alike = bits.size > 0 and bool((bits == bits[0]).all())
        head = bytes([alike]) + _leb128(np.array([bits.size]))
        tail = (bits[:1] if alike else bits).tobytes()
        gaps = np.diff(self.positions, prepend=-1) - 1
        forms = [bytes([_GAPS]) + head + _leb128(gaps) + tail]
        if bits.size:
            bitmap = np.zeros(int(self.positions[-1]) + 1, bool)
            bitmap[self.positions] = True
            forms.append(bytes([_BITMAP]) + head + _leb128(np.array([bitmap.size])) + _packed(bitmap) + tail)
        return min(forms, key=len)

    @classmethod
    def from_bytes(cls, octets: bytes | bytearray | memoryview, n_elements: int) -> TensorPatch:
        """Read the patch of a tensor of `n_elements`.

        Raises
        ------
        MalformedBitstream
            It is cut short, or names elements that the tensor does not have.
        """
        content = np.frombuffer(octets, np.uint8)
        if content.size < 2 or content[0] > _BITMAP or content[1] > 1:
            raise _malformed("starts like none")
        (count,), at = _read_leb128(content, 2, 1)
        if count > n_elements:
            raise _malformed(f"has {count} elements for a tensor of {n_elements}")
        if content[0] == _GAPS:
            gaps, at = _read_leb128(content, at, int(count))
            if (gaps >= n_elements).any():
                raise _malformed("reaches beyond the tensor")
            positions = np.cumsum(gaps + 1) - 1
        else:
            (length,), at = _read_leb128(content, at, 1)
            if length > n_elements or content.size < at + (int(length) + 7) // 8:
                raise _malformed("reaches beyond the tensor or is cut short")
            bitmap = np.unpackbits(content[at : at + (int(length) + 7) // 8], count=int(length))
            positions, at = np.flatnonzero(bitmap), at + (int(length) + 7) // 8
        stored = np.frombuffer(content[at:].tobytes()[: (content.size - at) // 4 * 4], "<f4")
        if positions.size != count or stored.size != (min(count, 1) if content[1] else count):
            raise _malformed("is cut short or too long")
        if positions.size and positions[-1] >= n_elements:
            raise _malformed("reaches beyond the tensor")
        values = np.broadcast_to(stored, (int(count),)) if content[1] else stored
        return cls(positions.astype(np.int64), values.astype(np.float32, copy=False))

    def apply(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return a copy of a tensor, in its type, with the patch's elements in their places."""
        patched: NDArray[Any] = values.copy()
        with np.errstate(invalid="ignore"):
            patched.reshape(-1)[self.positions] = self.values.astype(values.dtype)
        return patched


def _malformed(fault: str) -> MalformedBitstream:
    return MalformedBitstream(f"the patch {fault}", element="topology_data")


def _packed(bitmap: NDArray[np.bool_]) -> bytes:
    return np.packbits(bitmap).tobytes()


def _leb128(numbers: NDArray[np.int64]) -> bytes:
    """Return non-negative numbers, seven bits a byte, low bits first, with the high bit on all bytes but the last."""
    remaining = numbers.astype(np.int64)
    columns, used = [], []
    alive = np.ones(remaining.shape, bool)
    while alive.any():
        more = remaining > 127
        columns.append(((remaining & 127) | (more << 7)).astype(np.uint8))
        used.append(alive)
        alive = alive & more
        remaining = remaining >> 7
    if not columns:
        return b""
    octets: bytes = np.stack(columns, 1)[np.stack(used, 1)].tobytes()
    return octets


def _read_leb128(content: NDArray[np.uint8], at: int, count: int) -> tuple[NDArray[np.int64], int]:
    """Return `count` numbers from a byte on, and the byte behind them."""
    if count == 0:
        return np.zeros(0, np.int64), at
    part = content[at : at + 8 * count]
    ends = np.flatnonzero(part < 128)[:count]
    if ends.size < count:
        raise _malformed("is cut short")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 8:
        raise _malformed("has a number of more than 56 bits")
    numbers = np.zeros(count, np.int64)
    for place in range(int(lengths.max())):
        used = lengths > place
        numbers[used] |= (part[starts[used] + place].astype(np.int64) & 127) << (7 * place)
    return numbers, at + int(ends[-1]) + 1
