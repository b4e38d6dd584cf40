# SPDX-License-Identifier: Apache-2.0
"""Compress neural networks to ISO/IEC 15938-17 (NNC, NNR) streams and back.

Names are loaded when they are first used, so that importing the package, or asking the command line for help, does not
wait for NumPy and the native module.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nnr_codec._version import __version__

if TYPE_CHECKING:
    from nnr_codec.codec import Curvature, Decoder, Encoder, EncoderConfig, QuantizedTensor, compress_to, decode, encode
    from nnr_codec.entropy import rate
    from nnr_codec.errors import (
        BitstreamError,
        InternalError,
        LimitExceeded,
        MalformedBitstream,
        NnrError,
        NotEncodable,
        TruncatedBitstream,
        UnsupportedBitstream,
    )
    from nnr_codec.model import Limits

_ROOMS = {
    "nnr_codec.codec": (
        "Curvature",
        "Decoder",
        "Encoder",
        "EncoderConfig",
        "QuantizedTensor",
        "compress_to",
        "decode",
        "encode",
    ),
    "nnr_codec.entropy": ("rate",),
    "nnr_codec.errors": (
        "BitstreamError",
        "InternalError",
        "LimitExceeded",
        "MalformedBitstream",
        "NnrError",
        "NotEncodable",
        "TruncatedBitstream",
        "UnsupportedBitstream",
    ),
    "nnr_codec.model": ("Limits",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "BitstreamError",
    "Curvature",
    "Decoder",
    "Encoder",
    "EncoderConfig",
    "InternalError",
    "LimitExceeded",
    "Limits",
    "MalformedBitstream",
    "NnrError",
    "NotEncodable",
    "QuantizedTensor",
    "TruncatedBitstream",
    "UnsupportedBitstream",
    "__version__",
    "compress_to",
    "decode",
    "encode",
    "rate",
]


def __getattr__(name: str) -> Any:
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(room), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
