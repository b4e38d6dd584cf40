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
    from nnr_codec import importance, rate, transform
    from nnr_codec.codec.decode.decoder import Decoder, decode
    from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
    from nnr_codec.codec.encode.config import EncoderConfig
    from nnr_codec.codec.encode.encoder import Encoder, encode
    from nnr_codec.codec.stream.source_description import SourceDescription
    from nnr_codec.codec.stream.summary import StreamSummary, TensorSummary
    from nnr_codec.codec.stream.summary import describe_stream as describe
    from nnr_codec.codec.stream.unit_index import UnitIndex
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
    from nnr_codec.files.compressing import CompressReport, compress_file
    from nnr_codec.files.decoding import DecodeReport, decode_file
    from nnr_codec.files.encoding import EncodeReport, encode_file
    from nnr_codec.files.stream_file import StreamFile
    from nnr_codec.files.stream_file import open_stream as open
    from nnr_codec.files.verification import TensorError
    from nnr_codec.inspect.read.validate import Finding, Severity, validate
    from nnr_codec.model import Limits
    from nnr_codec.quant import Curvature
    from nnr_codec.rate_control.quality_search import compress_to_quality
    from nnr_codec.rate_control.search_report import SearchReport
    from nnr_codec.rate_control.target_report import TargetReport, TensorReport
    from nnr_codec.rate_control.targets import compress_to_target

#: Module of each public name, and its name there where it differs.
_MODULE_OF = {
    "BitstreamError": "errors",
    "CompressReport": "files.compressing",
    "Curvature": "quant",
    "DecodeReport": "files.decoding",
    "Decoder": "codec.decode.decoder",
    "EncodeReport": "files.encoding",
    "Encoder": "codec.encode.encoder",
    "EncoderConfig": "codec.encode.config",
    "Finding": "inspect.read.validate",
    "InternalError": "errors",
    "LimitExceeded": "errors",
    "Limits": "model",
    "MalformedBitstream": "errors",
    "NnrError": "errors",
    "NotEncodable": "errors",
    "QualityWarning": "errors",
    "QuantizedTensor": "codec.decode.quantized_tensor",
    "SearchReport": "rate_control.search_report",
    "Severity": "inspect.read.validate",
    "SourceDescription": "codec.stream.source_description",
    "StreamFile": "files.stream_file",
    "StreamSummary": "codec.stream.summary",
    "TargetReport": "rate_control.target_report",
    "TensorError": "files.verification",
    "TensorReport": "rate_control.target_report",
    "TensorSummary": "codec.stream.summary",
    "TruncatedBitstream": "errors",
    "UnitIndex": "codec.stream.unit_index",
    "UnsupportedBitstream": "errors",
    "compress_file": "files.compressing",
    "compress_to_quality": "rate_control.quality_search",
    "compress_to_target": "rate_control.targets",
    "decode": "codec.decode.decoder",
    "decode_file": "files.decoding",
    "describe": "codec.stream.summary",
    "encode": "codec.encode.encoder",
    "encode_file": "files.encoding",
    "open": "files.stream_file",
    "validate": "inspect.read.validate",
}
_NAME_THERE = {"describe": "describe_stream", "open": "open_stream"}
_ROOMS = ("importance", "rate", "transform")

__all__ = [
    "BitstreamError",
    "CompressReport",
    "Curvature",
    "DecodeReport",
    "Decoder",
    "EncodeReport",
    "Encoder",
    "EncoderConfig",
    "Finding",
    "InternalError",
    "LimitExceeded",
    "Limits",
    "MalformedBitstream",
    "NnrError",
    "NotEncodable",
    "QualityWarning",
    "QuantizedTensor",
    "SearchReport",
    "Severity",
    "SourceDescription",
    "StreamFile",
    "StreamSummary",
    "TargetReport",
    "TensorError",
    "TensorReport",
    "TensorSummary",
    "TruncatedBitstream",
    "UnitIndex",
    "UnsupportedBitstream",
    "__version__",
    "compress_file",
    "compress_to_quality",
    "compress_to_target",
    "decode",
    "decode_file",
    "describe",
    "encode",
    "encode_file",
    "importance",
    "open",
    "rate",
    "transform",
    "validate",
]


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return importlib.import_module(f"nnr_codec.{name}")
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"nnr_codec.{module}"), _NAME_THERE.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
