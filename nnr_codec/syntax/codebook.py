# SPDX-License-Identifier: Apache-2.0
"""Syntax and meaning of codebooks."""

from __future__ import annotations

from itertools import pairwise

from nnr_codec.errors import MalformedBitstream, NotEncodable
from nnr_codec.model import Codebook
from nnr_codec.syntax.descriptors import ie, u, ue
from nnr_codec.syntax.expressions import Expression
from nnr_codec.syntax.grammar import Derived, Repeat, Syntax, Tree

_INT32 = range(-(1 << 31), 1 << 31)

CODEBOOK = Syntax(
    "codebook",
    "codebook_egk" / u(4),
    "codebook_size" / ue(2, limit="max_codebook_size"),
    "codebook_center_offset"
    / ie(2, rule="0 <= (codebook_size >> 1) + codebook_center_offset < codebook_size"),
    "codebook_zero_value" / ie(7),
    Derived("CbZeroOffset", Expression("(codebook_size >> 1) + codebook_center_offset")),
    "codebook_delta_left" / Repeat("CbZeroOffset", ue("codebook_egk")),
    "codebook_delta_right" / Repeat("codebook_size - 1 - CbZeroOffset", ue("codebook_egk")),
    clause="format 3",
)


def codebook(tree: Tree, path: str) -> Codebook:
    """Return the codebook of a tree: the sums of its differences, from the zero value to both sides.

    Parameters
    ----------
    tree : dict
    path : str
        Key of the codebook in its unit.

    Raises
    ------
    MalformedBitstream
        A value is beyond 32 bits. The error has ``path`` relative to the unit, and ``clause``.

    Clause: format 3
    """
    zero_offset = (tree["codebook_size"] >> 1) + tree["codebook_center_offset"]
    below = [tree["codebook_zero_value"]]
    for delta in tree["codebook_delta_left"]:
        below.append(below[-1] - delta - 1)
    above = [tree["codebook_zero_value"]]
    for delta in tree["codebook_delta_right"]:
        above.append(above[-1] + delta + 1)
    values = (*below[:0:-1], *above)
    if values[0] not in _INT32 or values[-1] not in _INT32:
        raise MalformedBitstream(
            "a codebook value is beyond 32 bits", path=f"{path}.codebook_zero_value", clause="format 3"
        )
    return Codebook(values, zero_offset, tree["codebook_egk"])


def codebook_tree(book: Codebook) -> Tree:
    """Return the tree of a codebook; the inverse of `codebook`.

    Raises
    ------
    NotEncodable
        The zero value is outside the codebook, or the values do not increase. The error has ``element``.
    """
    size, zero = len(book.values), book.zero_offset
    if not 0 <= zero < size:
        raise NotEncodable(f"CbZeroOffset is {zero} in a codebook of {size}", element="codebook")
    values = [int(value) for value in book.values]
    gaps = [after - before - 1 for before, after in pairwise(values)]
    if any(gap < 0 for gap in gaps):
        raise NotEncodable("the values of a codebook strictly increase", element="codebook")
    return {
        "codebook_egk": _shortest_order(gaps) if book.egk is None else book.egk,
        "codebook_size": size,
        "codebook_center_offset": zero - (size >> 1),
        "codebook_zero_value": values[zero],
        "codebook_delta_left": gaps[:zero][::-1],
        "codebook_delta_right": gaps[zero:],
    }


def _shortest_order(gaps: list[int]) -> int:
    return min(range(16), key=lambda k: sum(2 * (gap + (1 << k)).bit_length() - k - 1 for gap in gaps))
