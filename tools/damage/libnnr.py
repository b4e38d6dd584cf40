# SPDX-License-Identifier: Apache-2.0
"""ctypes bindings of libnnr, with verdicts in the form of the other decoders under damage."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tools.damage import cases

_END, _MORE = 1, 8
_UNLIMITED = (1 << 64) - 1
_RAW = 0
_LEVELS = 1
_CODED = 1

#: Fields of ``nnr_limits``, in order.
LIMIT_NAMES = (
    "max_stream_bytes",
    "max_units",
    "max_unit_bytes",
    "max_tensor_elements",
    "max_total_elements",
    "max_dimensions",
    "max_names",
    "max_name_bytes",
    "max_codebook_size",
    "max_topology_bytes",
    "max_expansion_ratio",
    "expansion_floor_bytes",
    "max_updates_kept",
)
ALLOCATE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
RELEASE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
SHAPE_SOURCE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint64), ctypes.c_size_t
)


class CLimits(ctypes.Structure):
    """``nnr_limits``."""

    _fields_ = [(name, ctypes.c_uint64) for name in LIMIT_NAMES]


class _Allocator(ctypes.Structure):
    _fields_ = [("allocate", ctypes.c_void_p), ("release", ctypes.c_void_p), ("opaque", ctypes.c_void_p)]


class COptions(ctypes.Structure):
    """``nnr_options``."""

    _fields_ = [
        ("struct_bytes", ctypes.c_size_t),
        ("limits", CLimits),
        ("allocator", _Allocator),
        ("shape_source", ctypes.c_void_p),
        ("shape_source_opaque", ctypes.c_void_p),
        ("view", ctypes.c_int),
        ("threads", ctypes.c_uint32),
        ("recompose", ctypes.c_int),
        ("max_seconds", ctypes.c_double),
    ]


class CError(ctypes.Structure):
    """``nnr_error``."""

    _fields_ = [
        ("status", ctypes.c_int),
        ("stage", ctypes.c_int),
        ("bit_offset", ctypes.c_uint64),
        ("unit", ctypes.c_uint64),
        ("element", ctypes.c_char_p),
        ("clause", ctypes.c_char_p),
        ("text", ctypes.c_char_p),
    ]


class CTensor(ctypes.Structure):
    """``nnr_tensor``."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("name_bytes", ctypes.c_size_t),
        ("shape", ctypes.POINTER(ctypes.c_uint64)),
        ("n_dimensions", ctypes.c_size_t),
        ("n_elements", ctypes.c_uint64),
        ("type", ctypes.c_int),
        ("coding", ctypes.c_int),
        ("step_size", ctypes.c_double),
        ("qp", ctypes.c_int32),
        ("qp_density", ctypes.c_uint32),
        ("codebook", ctypes.POINTER(ctypes.c_int32)),
        ("codebook_size", ctypes.c_size_t),
        ("codebook_zero", ctypes.c_size_t),
        ("values", ctypes.c_void_p),
        ("n_bytes", ctypes.c_uint64),
        ("type_name", ctypes.c_char_p),
        ("unit", ctypes.c_uint64),
        ("role", ctypes.c_int),
        ("weight_shape", ctypes.POINTER(ctypes.c_uint64)),
        ("n_weight_dimensions", ctypes.c_size_t),
    ]


class Library:
    """A loaded shared library with its functions typed.

    Parameters
    ----------
    path : Path
        ``libnnr.so``.
    """

    def __init__(self, path: Path) -> None:
        self.c = ctypes.CDLL(str(path))
        pointer = ctypes.c_void_p
        self.c.nnr_default_limits.restype = CLimits
        self.c.nnr_default_options.restype = COptions
        self.c.nnr_status_name.restype = ctypes.c_char_p
        self.c.nnr_stage_name.restype = ctypes.c_char_p
        self.c.nnr_decoder_create.restype = pointer
        self.c.nnr_decoder_tensor.restype = ctypes.POINTER(CTensor)
        self.c.nnr_decoder_tensor.argtypes = [pointer, ctypes.c_size_t]
        self.c.nnr_decoder_size.restype = ctypes.c_size_t
        for name in ("free", "size", "headers_only", "finish"):
            getattr(self.c, f"nnr_decoder_{name}").argtypes = [pointer]
        self.c.nnr_decoder_open.argtypes = [pointer, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(CError)]
        self.c.nnr_decoder_open_for_pushing.argtypes = [pointer, ctypes.POINTER(CError)]
        self.c.nnr_decoder_push.argtypes = self.c.nnr_decoder_open.argtypes
        self.c.nnr_decoder_next.argtypes = [pointer, ctypes.POINTER(CError)]
        self.c.nnr_decode.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            pointer,
            pointer,
            ctypes.POINTER(CError),
        ]
        self.c.nnr_model_free.argtypes = [pointer]
        self.c.nnr_decoder_read.argtypes = [pointer, ctypes.c_int, pointer, ctypes.POINTER(CError)]

    def limited_options(self) -> COptions:
        """Return options with the limits that `tools.damage` gives both decoders."""
        options: COptions = self.c.nnr_default_options()
        options.view = _CODED
        options.limits.max_tensor_elements = cases.TENSOR_ELEMENTS
        options.limits.max_total_elements = cases.STREAM_ELEMENTS
        options.limits.max_dimensions = cases.DIMENSIONS
        options.limits.max_names = cases.NAMES
        options.limits.max_codebook_size = cases.CODEBOOK_SIZE
        for name in ("max_name_bytes", "max_expansion_ratio", "max_updates_kept"):
            setattr(options.limits, name, _UNLIMITED)
        return options

    def verdict(
        self, streams: Sequence[bytes], piece_bytes: int | None = None, *, max_updates_kept: int = _UNLIMITED
    ) -> cases.Verdict:
        """Decode a sequence to levels and values; see `tools.damage.native.verdict`.

        With `piece_bytes` the streams are pushed in pieces of that size.
        """
        options, error, digest = self.limited_options(), CError(), hashlib.sha256()
        options.limits.max_updates_kept = max_updates_kept
        decoder = self.c.nnr_decoder_create(ctypes.byref(options))
        try:
            for stream in streams:
                tensors: dict[str, bytes] = {}
                if not self._decode(decoder, stream, error, tensors.__setitem__, piece_bytes):
                    return self.c.nnr_status_name(error.status).decode(), int(error.bit_offset)
                for _, content in sorted(tensors.items()):
                    digest.update(content)
        finally:
            self.c.nnr_decoder_free(decoder)
        return "accept", digest.hexdigest()

    def _decode(
        self,
        decoder: int,
        stream: bytes,
        error: CError,
        keep: Callable[[str, bytes], object],
        piece_bytes: int | None,
    ) -> bool:
        if piece_bytes is None:
            status = self.c.nnr_decoder_open(decoder, stream, len(stream), ctypes.byref(error))
            return status == 0 and self._read_units(decoder, error, keep) == _END
        self.c.nnr_decoder_open_for_pushing(decoder, ctypes.byref(error))
        for start in range(0, len(stream), piece_bytes):
            piece = stream[start : start + piece_bytes]
            if self.c.nnr_decoder_push(decoder, piece, len(piece), ctypes.byref(error)) != 0:
                return False
            if self._read_units(decoder, error, keep) != _MORE:
                return False
        self.c.nnr_decoder_finish(decoder)
        return self._read_units(decoder, error, keep) == _END

    def _read_units(self, decoder: int, error: CError, keep: Callable[[str, bytes], object]) -> int:
        """Decode the units that are there; the status that ends them."""
        while True:
            status = int(self.c.nnr_decoder_next(decoder, ctypes.byref(error)))
            if status != 0:
                return status
            count = self.c.nnr_decoder_size(decoder)
            tensors = [self.c.nnr_decoder_tensor(decoder, index).contents for index in range(count)]
            arrays = [np.empty(max(1, tensor.n_elements), np.int32) for tensor in tensors]
            buffers = (ctypes.c_void_p * count)(*(array.ctypes.data for array in arrays))
            status = int(self.c.nnr_decoder_read(decoder, _LEVELS, buffers, ctypes.byref(error)))
            if status != 0:
                return status
            for tensor, array in zip(tensors, arrays, strict=True):
                keep(tensor.name.decode(), _content(tensor, array[: tensor.n_elements]))


def _content(tensor: CTensor, array: np.ndarray) -> bytes:
    shape = [tensor.shape[index] for index in range(tensor.n_dimensions)]
    head = repr((tensor.name.decode(), shape, "int32" if tensor.type else "float32")).encode()
    if tensor.coding == _RAW:
        return head + array.tobytes()
    if tensor.type:
        return head + 2 * array.tobytes()
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        step = np.float32(tensor.step_size)
        if tensor.codebook:
            book = np.array(tensor.codebook[: tensor.codebook_size], np.int32)
            values = (book[array + tensor.codebook_zero] * np.float64(step)).astype(np.float32)
        else:
            values = step * array.astype(np.float32)
    encoded: bytes = head + array.tobytes() + values.astype(np.float32).tobytes()
    return encoded
