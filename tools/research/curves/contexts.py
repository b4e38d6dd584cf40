# SPDX-License-Identifier: Apache-2.0
"""What stands between an ideal trellis and a stream: the binarisation, and contexts that never stop adapting."""

from __future__ import annotations

from nnr_codec.entropy import TensorCoding, TensorToEncode, encode_payload
from tools.research.curves.ideal import Point

_UNARY_LENGTHS = (1, 2, 3, 4, 6, 8, 10, 14, 20, 28, 40, 56, 80, 112, 160, 256)
_FEWEST = 50_000


def coded_beyond_entropy(point: Point) -> float | None:
    """Return what an ideal trellis's own levels take beyond their entropy, in bits per weight; None of too few levels.

    They are coded as they are, with the best of all unary lengths and the initialisation that suits each context best.
    """
    n = point.levels.size
    if n < _FEWEST:
        return None
    codings = (TensorCoding(rows=1, width=n, unary_length=u, dependent=True) for u in _UNARY_LENGTHS)
    payloads = [encode_payload([TensorToEncode(coding, point.levels)]).payload for coding in codings]
    return min(map(len, payloads)) * 8 / n - point.levels_bits
