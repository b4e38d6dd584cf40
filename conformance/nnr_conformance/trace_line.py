# SPDX-License-Identifier: Apache-2.0
"""Lines of syntax traces."""

from __future__ import annotations

import struct

PAYLOADS = ("nnr_compressed_data_unit_payload", "nnr_partial_unit_payload", "nnr_unit_payload")
"""Payload elements, which are not traced; other layers cover them."""


def trace_line(bit_offset: int, n_bits: int, element: str, value: object) -> str:
    """Write ``bit_offset TAB n_bits TAB element TAB value``.

    The element is its bare name without path and index: the offset identifies it, and decoders may differ in
    how they nest and count. Integers are decimal; a float is the eight hexadecimal digits of its
    bytes as they stand in the stream; strings and byte strings are hexadecimal, without the zero that ends a
    string.
    """
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, float):
        value = struct.pack("<f", value).hex()
    elif isinstance(value, str):
        value = value.encode("utf-8").hex()
    elif isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value).hex()
    return f"{bit_offset}\t{n_bits}\t{element}\t{value}\n"
