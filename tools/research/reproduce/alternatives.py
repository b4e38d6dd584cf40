# SPDX-License-Identifier: Apache-2.0
"""Alternative compression methods, as baselines: each returns a size and the restored tensors.

The quantising methods keep tensors of fewer than two dimensions in float32, as common file formats do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Tensors = dict[str, npt.NDArray[np.float32]]
Compressed = tuple[int, Tensors]
_ZSTD_LEVEL = 19


def float32_zstd(tensors: Tensors) -> Compressed:
    """Compress the float32 bytes with zstd."""
    return _zstd(b"".join(tensor.tobytes() for tensor in tensors.values())), tensors


def float32_zipnn(tensors: Tensors) -> Compressed:
    """Compress the float32 bytes with ZipNN."""
    return _zipnn(b"".join(tensor.tobytes() for tensor in tensors.values()), "float32"), tensors


def bfloat16_zipnn(tensors: Tensors) -> Compressed:
    """Round to bfloat16 and compress with ZipNN."""
    halves = {name: _bfloat16_bits(tensor) for name, tensor in tensors.items()}
    size = _zipnn(b"".join(bits.tobytes() for bits in halves.values()), "bfloat16")
    return size, {
        name: (bits.astype(np.uint32) << 16).view(np.float32).reshape(tensors[name].shape)
        for name, bits in halves.items()
    }


def int8_rows(tensors: Tensors) -> Compressed:
    """Quantise to symmetric int8 with one float32 scale per row, and compress with zstd."""
    return _quantised(tensors, _int8)


def int4_groups(tensors: Tensors) -> Compressed:
    """Quantise to symmetric 4 bits with one float16 scale per 32 weights, and compress with zstd."""
    return _quantised(tensors, lambda weight: _int4(weight, 32))


def int4_wide_groups(tensors: Tensors) -> Compressed:
    """Quantise to symmetric 4 bits with one float16 scale per 128 weights, and compress with zstd."""
    return _quantised(tensors, lambda weight: _int4(weight, 128))


ALTERNATIVES: Mapping[str, Callable[[Tensors], Compressed]] = {
    "float32, zstd": float32_zstd,
    "float32, ZipNN": float32_zipnn,
    "bfloat16, ZipNN": bfloat16_zipnn,
    "int8 by row, zstd": int8_rows,
    "4 bits in groups of 32, zstd": int4_groups,
    "4 bits in groups of 128, zstd": int4_wide_groups,
}


def _zstd(raw: bytes) -> int:
    import zstandard

    return len(zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(raw))


def _zipnn(raw: bytes, dtype: str) -> int:
    import zipnn

    # ZipNN reorders its input in place, so it gets a copy.
    return len(zipnn.ZipNN(bytearray_dtype=dtype, input_format="byte").compress(bytearray(raw)))


def _bfloat16_bits(tensor: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    bits = np.ascontiguousarray(tensor, np.float32).reshape(-1).view(np.uint32)
    # Nearest, ties to even.
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _quantised(
    tensors: Tensors, quantise: Callable[[npt.NDArray[np.float32]], tuple[bytes, npt.NDArray[np.float32]]]
) -> Compressed:
    raw, values = [], {}
    for name, tensor in tensors.items():
        if tensor.ndim > 1:
            stored, restored = quantise(tensor.reshape(tensor.shape[0], -1))
            values[name] = restored.reshape(tensor.shape)
        else:
            stored, values[name] = tensor.tobytes(), tensor
        raw.append(stored)
    return _zstd(b"".join(raw)), values


def _int8(weight: npt.NDArray[np.float32]) -> tuple[bytes, npt.NDArray[np.float32]]:
    scale = np.maximum(np.abs(weight).max(1, keepdims=True), 1e-30).astype(np.float32) / 127
    levels = np.rint(weight / scale).astype(np.int8)
    return levels.tobytes() + scale.tobytes(), levels * scale


def _int4(weight: npt.NDArray[np.float32], group: int) -> tuple[bytes, npt.NDArray[np.float32]]:
    flat = weight.reshape(-1)
    padded = np.concatenate([flat, np.zeros(-flat.size % group, np.float32)]).reshape(-1, group)
    # The weight of largest magnitude, with its sign, is level -8: all 16 levels are used.
    largest = padded[np.arange(len(padded)), np.abs(padded).argmax(1)]
    scale = (largest / -8).astype(np.float16).astype(np.float32)[:, None]
    safe = np.where(scale == 0, 1, scale)
    levels = np.clip(np.rint(padded / safe), -8, 7).astype(np.int8)
    nibbles = (levels + 8).astype(np.uint8).reshape(-1)
    packed = nibbles[0::2] | (nibbles[1::2] << 4)
    restored = (levels * scale).reshape(-1)[: flat.size].reshape(weight.shape)
    return packed.tobytes() + scale.astype(np.float16).tobytes(), restored
