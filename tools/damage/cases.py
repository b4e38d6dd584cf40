# SPDX-License-Identifier: Apache-2.0
"""Numbered damage: every flipped bit and every truncation of a sequence of streams.

The module uses the standard library only, because the model may run on another interpreter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    #: Verdict on a case: "accept" and a digest, or the class of the error and its bit.
    Verdict = tuple[str, str | int]


def n_cases(streams: Sequence[bytes]) -> int:
    """Number of cases: eight flipped bits and one truncation per byte."""
    return sum(9 * len(stream) for stream in streams)


def stream_of(streams: Sequence[bytes], number: int) -> int:
    """Index of the stream that a case damages.

    >>> stream_of([b"ab", b"c"], 17), stream_of([b"ab", b"c"], 18)
    (0, 1)
    """
    for index, stream in enumerate(streams):
        if number < 9 * len(stream):
            return index
        number -= 9 * len(stream)
    raise IndexError(number)


def damaged(streams: Sequence[bytes], number: int) -> tuple[list[bytes], str]:
    """Apply the damage of a case; returns the streams and a description.

    >>> damaged([b"ab"], 15)[1], damaged([b"ab"], 16)
    ('stream 0, bit 15 flipped', ([b''], 'stream 0, cut to 0 bytes'))
    """
    index = stream_of(streams, number)
    number -= 9 * sum(map(len, streams[:index]))
    stream = streams[index]
    if number < 8 * len(stream):
        changed = bytearray(stream)
        changed[number >> 3] ^= 0x80 >> (number & 7)
        piece, what = bytes(changed), f"bit {number} flipped"
    else:
        length = number - 8 * len(stream)
        piece, what = stream[:length], f"cut to {length} bytes"
    return [*streams[:index], piece, *streams[index + 1 :]], f"stream {index}, {what}"


# Limits of both decoders, declared once, so that they never cause a disagreement.
TENSOR_ELEMENTS = 1 << 15
STREAM_ELEMENTS = 1 << 16
DIMENSIONS = 32
NAMES = 1 << 12
CODEBOOK_SIZE = 1 << 12
