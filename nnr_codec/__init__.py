# SPDX-License-Identifier: Apache-2.0
"""Compress neural networks to ISO/IEC 15938-17 (NNC, NNR) streams and back.

Names are loaded on first use, so that importing the package, or asking the command line for help, does not wait for NumPy
and the native module.
"""

from __future__ import annotations

import importlib

from nnr_codec._version import __version__

# Importing typing for this constant takes longer than the rest of the module; type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from nnr_codec.codec.decode.decoder import Decoder, decode
    from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
    from nnr_codec.codec.encode.config import EncoderConfig
    from nnr_codec.codec.encode.encoder import Encoder, encode
    from nnr_codec.codec.stream.summary import StreamSummary, TensorSummary
    from nnr_codec.codec.stream.summary import describe_stream as describe
    from nnr_codec.codec.stream.unit_index import UnitIndex
    from nnr_codec.entropy import rate
    from nnr_codec.errors import (
        BitstreamError,
        InternalError,
        LimitExceeded,
        MalformedBitstream,
        NnrError,
        NotEncodable,
        QualityWarning,
        TruncatedBitstream,
        UnsupportedBitstream,
    )
    from nnr_codec.model import Limits
    from nnr_codec.quant import Curvature
    from nnr_codec.rate_control.quality_search import compress_to
    from nnr_codec.rate_control.targets import TargetReport, compress_to_target

#: Module of each public name, and its name there where it differs.
_MODULE_OF = {
    "BitstreamError": "errors",
    "Curvature": "quant",
    "Decoder": "codec.decode.decoder",
    "Encoder": "codec.encode.encoder",
    "EncoderConfig": "codec.encode.config",
    "InternalError": "errors",
    "LimitExceeded": "errors",
    "Limits": "model",
    "MalformedBitstream": "errors",
    "NnrError": "errors",
    "NotEncodable": "errors",
    "QualityWarning": "errors",
    "QuantizedTensor": "codec.decode.quantized_tensor",
    "StreamSummary": "codec.stream.summary",
    "TargetReport": "rate_control.targets",
    "TensorSummary": "codec.stream.summary",
    "TruncatedBitstream": "errors",
    "UnitIndex": "codec.stream.unit_index",
    "UnsupportedBitstream": "errors",
    "compress_to": "rate_control.quality_search",
    "compress_to_target": "rate_control.targets",
    "decode": "codec.decode.decoder",
    "describe": "codec.stream.summary",
    "encode": "codec.encode.encoder",
    "rate": "entropy",
}
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
    "QualityWarning",
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
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"nnr_codec.{module}"), _NAME_THERE.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
