# SPDX-License-Identifier: Apache-2.0
"""Data types by their names in safetensors, for whoever has no array yet."""

from __future__ import annotations

from nnr_codec.codec.source_description import SourceDescription
from nnr_codec.model import DataUnitHeader, DecompressedDataFormat, PayloadType

#: Name and, for integers, the bits of the format's own.
FORMATS: dict[DecompressedDataFormat, tuple[str, int]] = {
    DecompressedDataFormat.INT32: ("I32", 32),
    DecompressedDataFormat.FLOAT32: ("F32", 0),
    DecompressedDataFormat.INT2: ("I8", 2),
    DecompressedDataFormat.INT3: ("I8", 3),
    DecompressedDataFormat.INT4: ("I8", 4),
    DecompressedDataFormat.INT8: ("I8", 8),
    DecompressedDataFormat.INT16: ("I16", 16),
    DecompressedDataFormat.INT64: ("I64", 64),
    DecompressedDataFormat.FLOAT16: ("F16", 0),
    DecompressedDataFormat.FLOAT64: ("F64", 0),
}


def dtype_tag(name: str, header: DataUnitHeader, description: SourceDescription | None) -> str:
    """Return the type a tensor has in its source: what the source says, the unit says, or its payload is.

    Clause: format 3, 4
    """
    if description is not None and name in description.dtypes:
        return description.dtypes[name]
    if header.decompressed_data_format is not None:
        return FORMATS[header.decompressed_data_format][0]
    return "I32" if header.payload_type is PayloadType.NNR_PT_INT else "F32"
