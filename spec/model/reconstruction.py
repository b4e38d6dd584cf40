# SPDX-License-Identifier: Apache-2.0
"""4 From levels to values, in IEEE-754 binary32 with one rounding per operation."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from fractions import Fraction

from .data_unit import Codebook


def float32(value: float) -> float:
    """The nearest binary32, ties to even; infinity of the value's sign beyond the largest.

    The product of two binary32 is exact in a Python float (24 + 24 bits of 53), so rounding it here is the
    one rounding of a binary32 multiplication.
    """
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def step_size(quantization_parameter: int, qp_density: int) -> float:
    """4.1, as a binary32."""
    per_octave = 1 << qp_density
    mantissa = per_octave + (quantization_parameter & (per_octave - 1))
    exponent = (quantization_parameter >> qp_density) - qp_density
    try:
        return float32(math.ldexp(mantissa, exponent))
    except OverflowError:
        return math.inf


def uniform_value(level: int, step: float) -> float:
    """Section 4.2."""
    return float32(step * float32(level))


def codebook_value(level: int, step: float, codebook: Codebook) -> float | None:
    """4.3; None when the level has no entry. The entry is not rounded before the product."""
    index = level + codebook.zero_offset
    if not 0 <= index < len(codebook.values):
        return None
    return float32(codebook.values[index] * step)


def values_of(levels: Sequence[int], step: float, codebook: Codebook | None) -> list[float | None]:
    """The values of a tensor; a value is None where a level is outside the codebook."""
    known: dict[int, float | None] = {}
    for level in set(levels):
        known[level] = (
            uniform_value(level, step) if codebook is None else codebook_value(level, step, codebook)
        )
    return [known[level] for level in levels]


def scaled_rows(weight: Sequence[float], scaling: Sequence[float], width: int) -> list[float]:
    """4.5 Local scaling: row i times element i, one binary32 multiplication each."""
    return [float32(value * scaling[index // width]) for index, value in enumerate(weight)]


def factors_product(g: Sequence[float], h: Sequence[float], rank: int) -> list[float]:
    """4.6 G times H: the exact sum of the exact products, rounded once."""
    if rank == 0:
        raise ValueError("a product over rank 0")
    rows, columns = len(g) // rank, len(h) // rank
    result = []
    for row in range(rows):
        left = g[row * rank : (row + 1) * rank]
        for column in range(columns):
            terms = [a * b for a, b in zip(left, h[column::columns], strict=True)]
            if all(math.isfinite(term) for term in terms):
                result.append(_rounded(sum((Fraction(term) for term in terms), Fraction(0))))
            else:
                result.append(math.nan if math.isnan(sum(terms)) else sum(terms))
    return result


def _rounded(exact: Fraction) -> float:
    """An exact rational to binary32 in one rounding: to odd at 53 bits first, then to nearest."""
    nearest = float(exact)
    if math.isfinite(nearest) and Fraction(nearest) != exact:
        # Rounding to nearest twice can err on a tie of the second; the odd neighbour never lies on one.
        other = math.nextafter(nearest, math.inf if exact > Fraction(nearest) else -math.inf)
        odd = struct.unpack("<q", struct.pack("<d", nearest))[0] & 1
        nearest = nearest if odd else other
    return float32(nearest)
