# SPDX-License-Identifier: Apache-2.0
"""Bit reader and bit writer: the only Python code of this package that shifts bits."""

from nnr_codec.bitio.reader import BitReader
from nnr_codec.bitio.writer import BitWriter

__all__ = ["BitReader", "BitWriter"]
