# SPDX-License-Identifier: Apache-2.0
"""A line of a syntax trace."""

from __future__ import annotations

import struct


def trace_line(bit_offset: int, n_bits: int, path: str, value: object) -> str:
    """``bit_offset TAB n_bits TAB path TAB value``

    Integers are decimal; a float is the eight hexadecimal digits of its bytes as they stand in the stream; strings
    and byte strings are hexadecimal, without the zero that ends a string.
    """
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, float):
        value = struct.pack("<f", value).hex()
    elif isinstance(value, str):
        value = value.encode("utf-8").hex()
    elif isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value).hex()
    return f"{bit_offset}\t{n_bits}\t{path}\t{value}\n"
