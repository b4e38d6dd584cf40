# SPDX-License-Identifier: Apache-2.0
"""Streams to tensors and back: the only room where syntax, entropy coding, quantisation and transforms meet."""

from nnr_codec.codec.allocation import allocate
from nnr_codec.codec.compress_to import compress_to
from nnr_codec.codec.config import EncoderConfig
from nnr_codec.codec.decoder import Decoder, decode
from nnr_codec.codec.encoder import Encoder, encode
from nnr_codec.codec.search_report import Point, SearchReport, Settings
from nnr_codec.codec.tensors import QuantizedTensor
from nnr_codec.quant import Curvature

__all__ = [
    "Curvature",
    "Decoder",
    "Encoder",
    "EncoderConfig",
    "Point",
    "QuantizedTensor",
    "SearchReport",
    "Settings",
    "allocate",
    "compress_to",
    "decode",
    "encode",
]
