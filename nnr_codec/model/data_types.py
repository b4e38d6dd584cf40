# SPDX-License-Identifier: Apache-2.0
"""Table of the data types that tensors have outside the stream, by safetensors name.

Model files, the source description and the decoder read this table. It does not import NumPy, so headers can be read
without it.
"""

from __future__ import annotations

from dataclasses import dataclass

from nnr_codec.model.enumerations import DecompressedDataFormat


@dataclass(frozen=True)
class DataType:
    """One numeric data type.

    Attributes
    ----------
    tag : str
        Name in safetensors' spelling.
    name : str
        Name in NumPy, or in ml_dtypes for the types that NumPy lacks.
    size_bytes : int
        Bytes of one stored element.
    array_type : str
        NumPy type of arrays in memory. Floats that NumPy lacks are held as float32, without rounding.
    largest : float or None
        Largest finite value of a float type narrower than float32.
    """

    tag: str
    name: str
    size_bytes: int
    array_type: str
    largest: float | None = None

    @property
    def is_widened(self) -> bool:
        """True if arrays hold the type as float32 because NumPy lacks it."""
        return self.name != self.array_type


_TYPES = (
    DataType("BOOL", "bool", 1, "bool"),
    DataType("U8", "uint8", 1, "uint8"),
    DataType("I8", "int8", 1, "int8"),
    DataType("U16", "uint16", 2, "uint16"),
    DataType("I16", "int16", 2, "int16"),
    DataType("U32", "uint32", 4, "uint32"),
    DataType("I32", "int32", 4, "int32"),
    DataType("U64", "uint64", 8, "uint64"),
    DataType("I64", "int64", 8, "int64"),
    DataType("F16", "float16", 2, "float16", 65504.0),
    DataType("F32", "float32", 4, "float32"),
    DataType("F64", "float64", 8, "float64"),
    DataType("BF16", "bfloat16", 2, "float32", 0xFF * 2.0**120),
    DataType("F8_E4M3", "float8_e4m3fn", 1, "float32", 448.0),
    DataType("F8_E5M2", "float8_e5m2", 1, "float32", 57344.0),
)

#: Numeric data types by tag. Tensors of any other type are opaque bytes.
DATA_TYPES: dict[str, DataType] = {data_type.tag: data_type for data_type in _TYPES}

#: Tag by name in NumPy or ml_dtypes.
TAG_OF_NAME: dict[str, str] = {data_type.name: data_type.tag for data_type in _TYPES}

#: Tag and number of significant bits (0 for floats) of each nnr_decompressed_data_format. Clause: format 3.
OUTPUT_FORMATS: dict[DecompressedDataFormat, tuple[str, int]] = {
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
