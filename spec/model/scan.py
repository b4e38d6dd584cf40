# SPDX-License-Identifier: Apache-2.0
"""5.5 Scan orders."""

from __future__ import annotations

from collections.abc import Iterator

# Segment: row, first column, column behind the last.
Segment = tuple[int, int, int]


def block_size(scan_order: int) -> int:
    """Return the number of rows and of columns of a block."""
    return 4 << scan_order


def count_block_rows(rows: int, scan_order: int) -> int:
    """Return the number of block rows; 1 in row-major order."""
    if scan_order == 0:
        return 1
    return -(-rows // block_size(scan_order))


def segments_of_block_row(rows: int, width: int, scan_order: int, block_row: int) -> Iterator[Segment]:
    """Yield the segments of a block row in coding order."""
    if scan_order == 0:
        for row in range(rows):
            yield row, 0, width
        return
    size = block_size(scan_order)
    top = block_row * size
    bottom = min(top + size, rows)
    for column in range(0, width, size):
        for row in range(top, bottom):
            yield row, column, min(column + size, width)
