# SPDX-License-Identifier: Apache-2.0
"""The Python face of the native coder: whole tensors in, whole tensors out, errors with their place."""

from nnr_codec._native import Outcome, Quantization, TensorCoding, Workers
from nnr_codec.entropy import rate
from nnr_codec.entropy.payload import (
    BlockRowStart,
    DecodedPayload,
    DecodedTensor,
    DecodingPayloads,
    EncodedPayload,
    EncodingWeights,
    PayloadToDecode,
    TensorToDecode,
    TensorToEncode,
    decode_payload,
    encode_payload,
)

__all__ = [
    "BlockRowStart",
    "DecodedPayload",
    "DecodedTensor",
    "DecodingPayloads",
    "EncodedPayload",
    "EncodingWeights",
    "Outcome",
    "PayloadToDecode",
    "Quantization",
    "TensorCoding",
    "TensorToDecode",
    "TensorToEncode",
    "Workers",
    "decode_payload",
    "encode_payload",
    "rate",
]
