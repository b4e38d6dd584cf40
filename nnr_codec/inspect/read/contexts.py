# SPDX-License-Identifier: Apache-2.0
"""Purposes of the context models: the coded element, and the condition that selects a model.

Clause: format 5.2.
"""

from __future__ import annotations

from functools import cache

#: Index of the first context model of each group below the greater-than flags.
_BASE, _HISTORY, _SIGN, _SIGN_BASE, _GREATER = 24, 40, 48, 51, 53
_PREFIXES = 34  # number of models from the first prefix bin to the parameter-initialisation flag
_CLASSES = ("previous = 0", "previous < 0", "previous > 0")


@cache
def element_of_context(index: int, unary_length: int) -> str:
    """Return the syntax element that a context model codes.

    Parameters
    ----------
    index : int
        0-based.
    unary_length : int
        cabac_unary_length of the tensor.

    Examples
    --------
    >>> element_of_context(0, 10), element_of_context(53, 10)
    ('sig_flag', 'abs_level_greater_flag')
    """
    prefix = _GREATER + 4 * unary_length
    if index < _SIGN:
        return "sig_flag"
    if index < _GREATER:
        return "sign_flag"
    if index < prefix:
        return "abs_level_greater_flag"
    if index < prefix + _PREFIXES:
        return "abs_level_exp_golomb_prefix"
    return "initialisation_parameter" if index == prefix + _PREFIXES else "row_skip_flag"


@cache
def condition_of_context(index: int, unary_length: int) -> str:
    """Return the condition that selects a context model among those of its element.

    Examples
    --------
    >>> condition_of_context(5, 10)
    'state 1, previous > 0'
    >>> condition_of_context(56, 10)
    'greater than 2, negative'
    """
    greater_base = _GREATER + 2 * unary_length
    prefix = _GREATER + 4 * unary_length
    if index < _BASE:
        return f"state {index // 3}, {_CLASSES[index % 3]}"
    if index < _HISTORY:
        return f"state {(index - _BASE) // 2}, |base| {'> 1' if index % 2 else '= 1'}"
    if index < _SIGN:
        return f"state {index - _HISTORY}, non-zero before"
    if index < _SIGN_BASE:
        return _CLASSES[index - _SIGN]
    if index < _GREATER:
        return "base > 0" if index > _SIGN_BASE else "base < 0"
    if index < greater_base:
        place = index - _GREATER
        return f"greater than {place // 2 + 1}, {'negative' if place % 2 else 'positive'}"
    if index < prefix:
        place = index - greater_base
        return f"greater than {place // 2 + 1}, |base| {'<' if place % 2 else '>='} {place // 2}"
    if index < prefix + _PREFIXES:
        return f"bin {index - prefix}"
    return "flag" if index == prefix + _PREFIXES else "row"
