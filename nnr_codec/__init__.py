# SPDX-License-Identifier: Apache-2.0
"""Compress neural networks to ISO/IEC 15938-17 (NNC, NNR) streams and back."""

from nnr_codec._version import __version__
from nnr_codec.codec import Decoder, Encoder, EncoderConfig, QuantizedTensor, decode, encode
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

__all__ = [
    "BitstreamError",
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
    "decode",
    "encode",
]
