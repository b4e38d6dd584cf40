# SPDX-License-Identifier: Apache-2.0
"""Conditions, counts and sizes of the syntax tables, written once as the text that a reader of the tables
sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnr_codec.model import CompressedParameterTypes, NnrUnitType, ParentNodeIdType, PayloadType

Scope = Mapping[str, Any]

#: What an expression may name beside syntax elements. Nothing of Python is reachable from one.
EXPRESSION_NAMES: dict[str, Any] = {
    "__builtins__": {},
    **{member.name: member.value for member in (*PayloadType, *NnrUnitType, *ParentNodeIdType)},
    **{f"NNR_CPT_{member.name}": member.value for member in CompressedParameterTypes},
}


class Expression:
    """An expression over syntax elements that is its own documentation.

    Parameters
    ----------
    text : str
        A Python expression; a name means the element's most recent value, as in the standard's tables.

    Examples
    --------
    >>> Expression("scan_order > 0")({"scan_order": 2})
    True
    >>> str(Expression("a == 1 and b & NNR_CPT_DC"))
    'a == 1 && b & NNR_CPT_DC'
    """

    __slots__ = ("_code", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._code = compile(text, f"<{text}>", "eval")

    def __call__(self, scope: Scope) -> Any:
        """Evaluate over the elements read so far."""
        # Only constants of this package get here: declarations are made when it is imported.
        return eval(self._code, EXPRESSION_NAMES, scope)  # noqa: S307 - declarations alone

    @property
    def element_names(self) -> tuple[str, ...]:
        """The syntax elements that the expression reads."""
        return tuple(name for name in self._code.co_names if name not in EXPRESSION_NAMES)

    def __str__(self) -> str:
        return self.text.replace(" and ", " && ").replace(" or ", " || ").replace("not ", "!")

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def expression(value: int | str | Expression) -> int | Expression:
    """Return a number as it is and a text as an expression."""
    return Expression(value) if isinstance(value, str) else value
