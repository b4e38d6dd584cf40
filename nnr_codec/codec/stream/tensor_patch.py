# SPDX-License-Identifier: Apache-2.0
"""Patch of a tensor: positions and values of elements that cannot be quantised, such as NaN and infinities.

The tensor is quantised with zeros in these positions, and the decoder restores the elements from the patch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GAPS, _BITMAP = 0, 1


@dataclass(frozen=True)
class TensorPatch:
    """Elements of one tensor.

    Attributes
    ----------
    positions : int64[n]
        Indices into the flat tensor in C order, increasing.
    values : float32[n]
        Values; the bits of NaN are preserved.
    """

    positions: NDArray[np.int64]
    values: NDArray[np.float32]

    @classmethod
    def of_nonfinite(cls, weights: NDArray[np.float32]) -> TensorPatch:
        """Return the patch of the elements that are not finite."""
        positions = np.flatnonzero(~np.isfinite(weights))
        return cls(positions, weights[positions])

    def to_bytes(self) -> bytes:
        """Serialise the patch, with positions as differences or as a bitmap, whichever is smaller.

        Fields: one byte for the form of the positions (0 differences in LEB128, 1 bitmap up to the last element), one byte
        that is 1 if all values are equal, the number of elements in LEB128, the positions, and the values (one if they are
        equal) in little-endian binary32.
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


def _packed(bitmap: NDArray[np.bool_]) -> bytes:
    return np.packbits(bitmap).tobytes()


def _leb128(numbers: NDArray[np.int64]) -> bytes:
    """Serialise non-negative numbers in unsigned LEB128."""
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
