# SPDX-License-Identifier: Apache-2.0
"""4 Reconstruction: from levels to values, in binary32 with one rounding per operation."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from fractions import Fraction

from .data_unit import Codebook


def float32(value: float) -> float:
    """Round to the nearest binary32, ties to even; beyond the largest, to infinity.

    A Python float holds the product of two binary32 exactly (24 + 24 bits of 53). So this is the one rounding of a
    binary32 multiplication.
    """
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def step_size(quantization_parameter: int, qp_density: int) -> float:
    """Return the step size (4.1), a binary32."""
    per_octave = 1 << qp_density
    mantissa = per_octave + (quantization_parameter & (per_octave - 1))
    exponent = (quantization_parameter >> qp_density) - qp_density
    try:
        return float32(math.ldexp(mantissa, exponent))
    except OverflowError:
        return math.inf


def uniform_value(level: int, step: float) -> float:
    """Return the value of a level (4.2)."""
    return float32(step * float32(level))


def codebook_value(level: int, step: float, codebook: Codebook) -> float | None:
    """Return the value of a level (4.3); None when it is outside the codebook. The entry is not rounded."""
    index = level + codebook.zero_offset
    if not 0 <= index < len(codebook.values):
        return None
    return float32(codebook.values[index] * step)


def values_of(levels: Sequence[int], step: float, codebook: Codebook | None) -> list[float | None]:
    """Return the values of a tensor; None where a level is outside the codebook."""
    known: dict[int, float | None] = {}
    for level in set(levels):
        known[level] = (
            uniform_value(level, step) if codebook is None else codebook_value(level, step, codebook)
        )
    return [known[level] for level in levels]


def scaled_rows(weight: Sequence[float], scaling: Sequence[float], width: int) -> list[float]:
    """Multiply row i by element i (4.5)."""
    return [float32(value * scaling[index // width]) for index, value in enumerate(weight)]


def factors_product(g: Sequence[float], h: Sequence[float], rank: int) -> list[float]:
    """Return G times H (4.6): the exact sum of the exact products, rounded once."""
    if rank == 0:
        raise ValueError("a product over rank 0")
    rows, columns = len(g) // rank, len(h) // rank
    result = []
    for row in range(rows):
        g_row = g[row * rank : (row + 1) * rank]
        for column in range(columns):
            terms = [a * b for a, b in zip(g_row, h[column::columns], strict=True)]
            if all(math.isfinite(term) for term in terms):
                result.append(_rounded(sum((Fraction(term) for term in terms), Fraction(0))))
            else:
                result.append(math.nan if math.isnan(sum(terms)) else sum(terms))
    return result


def _rounded(exact: Fraction) -> float:
    """Round a rational to binary32 once: to odd at 53 bits, then to nearest."""
    nearest = float(exact)
    if math.isfinite(nearest) and Fraction(nearest) != exact:
        # Two roundings to nearest can err when the second meets a tie; an odd neighbour is never a tie.
        other = math.nextafter(nearest, math.inf if exact > Fraction(nearest) else -math.inf)
        odd = struct.unpack("<q", struct.pack("<d", nearest))[0] & 1
        nearest = nearest if odd else other
    return float32(nearest)
