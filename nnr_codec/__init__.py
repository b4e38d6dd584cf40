# SPDX-License-Identifier: Apache-2.0
"""Compress neural networks to ISO/IEC 15938-17 (NNC, NNR) streams and back.

Names are loaded when they are first used, so that importing the package, or asking the command line for help,
does not wait for NumPy and the native module.
"""

from __future__ import annotations

import importlib

from nnr_codec._version import __version__

# Not typing's: importing that takes longer than all the rest. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from nnr_codec.codec import (
        Curvature,
        Decoder,
        Encoder,
        EncoderConfig,
        QuantizedTensor,
        StreamSummary,
        TargetReport,
        TensorSummary,
        UnitIndex,
        compress_to,
        compress_to_target,
        decode,
        encode,
    )
    from nnr_codec.codec import describe_stream as describe
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
        "StreamSummary",
        "TargetReport",
        "TensorSummary",
        "UnitIndex",
        "compress_to",
        "compress_to_target",
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
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names} | {"describe": "nnr_codec.codec"}
_NAME_THERE = {"describe": "describe_stream"}

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
    "StreamSummary",
    "TargetReport",
    "TensorSummary",
    "TruncatedBitstream",
    "UnitIndex",
    "UnsupportedBitstream",
    "__version__",
    "compress_to",
    "compress_to_target",
    "decode",
    "describe",
    "encode",
    "rate",
]


def __getattr__(name: str) -> object:
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(room), _NAME_THERE.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
