# SPDX-License-Identifier: Apache-2.0
"""Streams to tensors and back: the only room where syntax, entropy coding, quantisation and transforms meet.

Names are loaded when they are first used: reading headers needs neither NumPy nor the native module.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nnr_codec.codec.allocation import allocate
    from nnr_codec.codec.compress_to import compress_to
    from nnr_codec.codec.config import EncoderConfig
    from nnr_codec.codec.decoder import Decoder, decode
    from nnr_codec.codec.encoder import Encoder, encode
    from nnr_codec.codec.search_report import Point, SearchReport, Settings
    from nnr_codec.codec.summary import StreamSummary, TensorSummary, describe_stream
    from nnr_codec.codec.targets import TargetReport, TensorReport, compress_to_target
    from nnr_codec.codec.tensors import QuantizedTensor
    from nnr_codec.codec.unit_index import UnitIndex
    from nnr_codec.quant import Curvature

_MODULE_OF = {
    "Curvature": "tensor_job",
    "Point": "search_report",
    "SearchReport": "search_report",
    "Settings": "search_report",
    "allocate": "allocation",
    "compress_to": "compress_to",
    "Decoder": "decoder",
    "Encoder": "encoder",
    "EncoderConfig": "config",
    "QuantizedTensor": "tensors",
    "StreamSummary": "summary",
    "TargetReport": "targets",
    "TensorReport": "targets",
    "TensorSummary": "summary",
    "UnitIndex": "unit_index",
    "compress_to_target": "targets",
    "decode": "decoder",
    "describe_stream": "summary",
    "encode": "encoder",
}

__all__ = [
    "Curvature",
    "Decoder",
    "Encoder",
    "EncoderConfig",
    "Point",
    "QuantizedTensor",
    "SearchReport",
    "Settings",
    "StreamSummary",
    "TargetReport",
    "TensorReport",
    "TensorSummary",
    "UnitIndex",
    "allocate",
    "compress_to",
    "compress_to_target",
    "decode",
    "describe_stream",
    "encode",
]


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"nnr_codec.codec.{module}"), name)
    globals()[name] = value
    return value
