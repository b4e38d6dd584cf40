# SPDX-License-Identifier: Apache-2.0
"""The Python face of the native coder: whole tensors in, whole tensors out, errors with their place."""

from nnr_codec._native import TensorCoding
from nnr_codec.entropy import rate
from nnr_codec.entropy.payload import (
    BlockRowStart,
    DecodedTensor,
    EncodedPayload,
    TensorToDecode,
    TensorToEncode,
    decode_payload,
    encode_payload,
)

__all__ = [
    "BlockRowStart",
    "DecodedTensor",
    "EncodedPayload",
    "TensorCoding",
    "TensorToDecode",
    "TensorToEncode",
    "decode_payload",
    "encode_payload",
    "rate",
]
