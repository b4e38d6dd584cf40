# SPDX-License-Identifier: Apache-2.0
"""Python interface of the native entropy coder, one call per payload or batch of payloads."""

from nnr_codec._native import Outcome, Quantization, TensorCoding, Workers
from nnr_codec.entropy import rate
from nnr_codec.entropy.payload import (
    BlockRowStart,
    DecodedPayload,
    DecodedTensor,
    DecodeTask,
    EncodedPayload,
    EncodeTask,
    PayloadToDecode,
    TensorToDecode,
    TensorToEncode,
    decode_payload,
    encode_payload,
)

__all__ = [
    "BlockRowStart",
    "DecodeTask",
    "DecodedPayload",
    "DecodedTensor",
    "EncodeTask",
    "EncodedPayload",
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
