# SPDX-License-Identifier: Apache-2.0
"""Expressions in syntax tables: conditions, counts and sizes, as text that is both evaluated and shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnr_codec.model import CompressedParameterTypes, NnrUnitType, ParentNodeIdType, PayloadType

Scope = Mapping[str, Any]

#: Names that an expression may use besides syntax elements. Python's builtins are not available.
EXPRESSION_NAMES: dict[str, Any] = {
    "__builtins__": {},
    **{member.name: member.value for member in (*PayloadType, *NnrUnitType, *ParentNodeIdType)},
    **{f"NNR_CPT_{member.name}": member.value for member in CompressedParameterTypes},
}


class Expression:
    """Expression over syntax elements.

    Parameters
    ----------
    text : str
        Python expression. A name is the most recent value of that element, as in the standard's tables.

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
        """Return the value of the expression for the elements read so far."""
        # The code is a constant of this package: declarations are compiled at import.
        return eval(self._code, EXPRESSION_NAMES, scope)  # noqa: S307 - declarations alone

    @property
    def element_names(self) -> tuple[str, ...]:
        """Names of the syntax elements that the expression reads."""
        return tuple(name for name in self._code.co_names if name not in EXPRESSION_NAMES)

    def __str__(self) -> str:
        return self.text.replace(" and ", " && ").replace(" or ", " || ").replace("not ", "!")

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def expression(value: int | str | Expression) -> int | Expression:
    """Return an `Expression` for a text, and a number unchanged."""
    return Expression(value) if isinstance(value, str) else value
