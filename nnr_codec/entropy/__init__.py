# SPDX-License-Identifier: Apache-2.0
"""The Python face of the native coder: whole tensors in, whole tensors out, errors with their place."""

from nnr_codec._native import Quantization, TensorCoding
from nnr_codec.entropy import rate
from nnr_codec.entropy.payload import (
    BlockRowStart,
    DecodedPayload,
    DecodedTensor,
    EncodedPayload,
    PayloadToDecode,
    TensorToDecode,
    TensorToEncode,
    decode_payload,
    decode_payloads,
    encode_payload,
)

__all__ = [
    "BlockRowStart",
    "DecodedPayload",
    "DecodedTensor",
    "EncodedPayload",
    "PayloadToDecode",
    "Quantization",
    "TensorCoding",
    "TensorToDecode",
    "TensorToEncode",
    "decode_payload",
    "decode_payloads",
    "encode_payload",
    "rate",
]
