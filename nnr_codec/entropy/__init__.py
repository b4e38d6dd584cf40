# SPDX-License-Identifier: Apache-2.0
"""Python interface of the native entropy coder, one call per payload or batch of payloads."""

from nnr_codec._native import Observer, Outcome, TensorCoding, Workers
from nnr_codec.entropy import rate
from nnr_codec.entropy.payload import (
    BlockRowStart,
    DecodedTensor,
    EncodedPayload,
    EncodeTask,
    TensorToDecode,
    TensorToEncode,
    decode_payload,
    encode_payload,
)

__all__ = [
    "BlockRowStart",
    "DecodedTensor",
    "EncodeTask",
    "EncodedPayload",
    "Observer",
    "Outcome",
    "TensorCoding",
    "TensorToDecode",
    "TensorToEncode",
    "Workers",
    "decode_payload",
    "encode_payload",
    "rate",
]
