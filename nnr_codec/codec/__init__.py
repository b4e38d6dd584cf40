# SPDX-License-Identifier: Apache-2.0
"""Streams to tensors and back: the only room where syntax, entropy coding, quantisation and transforms meet."""

from nnr_codec.codec.config import EncoderConfig
from nnr_codec.codec.decoder import Decoder, decode
from nnr_codec.codec.encoder import Encoder, encode
from nnr_codec.codec.targets import TargetReport, TensorReport, compress_to_target
from nnr_codec.codec.tensors import QuantizedTensor

__all__ = [
    "Decoder",
    "Encoder",
    "EncoderConfig",
    "QuantizedTensor",
    "TargetReport",
    "TensorReport",
    "compress_to_target",
    "decode",
    "encode",
]
