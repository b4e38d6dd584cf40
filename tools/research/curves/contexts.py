# SPDX-License-Identifier: Apache-2.0
"""Coding cost of ideal levels beyond their entropy: binarisation and adaptive contexts."""

from __future__ import annotations

from nnr_codec.entropy import TensorCoding, TensorToEncode, encode_payload
from tools.research.curves.ideal import Point

_UNARY_LENGTHS = (1, 2, 3, 4, 6, 8, 10, 14, 20, 28, 40, 56, 80, 112, 160, 256)
_FEWEST = 50_000


def coded_beyond_entropy(point: Point) -> float | None:
    """Bits per weight that the levels of the ideal trellis need beyond their entropy; None for too few levels.

    The levels are coded unchanged, with the best unary length and the best initialisation of every context.
    """
    n = point.levels.size
    if n < _FEWEST:
        return None
    codings = (TensorCoding(rows=1, width=n, unary_length=u, dependent=True) for u in _UNARY_LENGTHS)
    payloads = [encode_payload([TensorToEncode(coding, point.levels)]).payload for coding in codings]
    return min(map(len, payloads)) * 8 / n - point.levels_bits
