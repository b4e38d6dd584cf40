# SPDX-License-Identifier: Apache-2.0
"""Array files and digests as the contract defines them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def digest(array: Array) -> str:
    """SHA-256 of the elements as little-endian bytes in C order; it covers neither shape nor dtype."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(little.tobytes()).hexdigest()


def load_arrays(path: Path) -> dict[str, Array]:
    """Read an NPZ file with its exact entry names.

    NumPy's loader strips a ``.npy`` that is part of a tensor's name, so the archive is read directly.
    """
    arrays: dict[str, Array] = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            content = io.BytesIO(archive.read(entry))
            arrays[entry.removesuffix(".npy")] = np.lib.format.read_array(content, allow_pickle=False)
    return arrays


def save_arrays(path: Path, arrays: Mapping[str, Array], *, compress: bool = False) -> None:
    """Write an NPZ file reproducibly: no time stamps, entries in the order of the mapping.

    Unlike ``numpy.savez``, it accepts every name, ``file`` included.
    """
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asanyarray(array, order="C"), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = method
            archive.writestr(entry, content.getvalue())
