# SPDX-License-Identifier: Apache-2.0
"""Sizes below which elements stay in the graph, where they are exact.

A unit of its own costs a tensor 45 bytes and its name; the graph is deflated. Measured with names of 28 characters on
200 tensors: 24 floats in a row cost 79 bytes as a unit and 80 deflated in the graph, 64 sizes and axes of 8 bytes 124
and 108, and 128 of them 197 and 214.
"""

from __future__ import annotations

#: Floats with arithmetic, by the bytes of the elements.
MIN_FLOAT_BYTES = 96
#: Integers, flags, strings and types without arithmetic.
MIN_OTHER_BYTES = 1024
#: Values of attributes other than tensors and Constant's lists. They are exact either way.
MIN_LIST_BYTES = 1 << 16

_FLOATS = frozenset({"F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2"})


def stays_in_graph(tag: str, n_bytes: int) -> bool:
    """Decide by type and size where a tensor's elements cost less.

    >>> stays_in_graph("F32", 4), stays_in_graph("F32", 4096), stays_in_graph("I64", 512)
    (True, False, True)
    """
    return n_bytes < (MIN_FLOAT_BYTES if tag in _FLOATS else MIN_OTHER_BYTES)
