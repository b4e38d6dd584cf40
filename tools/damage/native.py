# SPDX-License-Identifier: Apache-2.0
"""Verdicts of this codec on damaged sequences, comparable with those of `spec/model` and of libnnr."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnr_codec import BitstreamError, Decoder, Limits, QuantizedTensor, decode
from nnr_codec.codec.decode.values import carried_values
from nnr_codec.codec.stream.topology_reader import CarriedItem
from nnr_codec.codec.stream.update_tree import UpdateTree
from nnr_codec.errors import LimitExceeded, MalformedBitstream, TruncatedBitstream, UnsupportedBitstream
from nnr_codec.inspect.read.reference_decoder import decode_in_turn
from nnr_codec.inspect.read.reference_reader import ReferenceReader
from tools.damage import cases

_WORDS = {
    TruncatedBitstream: "truncated",
    MalformedBitstream: "malformed",
    UnsupportedBitstream: "unsupported",
    LimitExceeded: "limit",
}
LIMITS = Limits(
    max_tensor_elements=cases.TENSOR_ELEMENTS,
    max_total_elements=cases.STREAM_ELEMENTS,
    max_dimensions=cases.DIMENSIONS,
    max_names=cases.NAMES,
    max_codebook_size=cases.CODEBOOK_SIZE,
    max_name_bytes=None,
    max_expansion_ratio=None,
    max_updates_kept=None,
)


def verdict(streams: Sequence[bytes], limits: Limits = LIMITS) -> cases.Verdict:
    """Decode a sequence; exceptions outside the error family count as crashes."""
    decoder = Decoder(limits=limits)
    return _verdict(streams, lambda stream: decoder.decode(stream, dequantize=False))


def construct_verdict(streams: Sequence[bytes], limits: Limits = LIMITS) -> cases.Verdict:
    """Decode a sequence with the reference decoder, whose headers construct parses."""
    updates = UpdateTree(limits)

    def decode_stream(stream: bytes) -> dict[str, Any]:
        reader = ReferenceReader(memoryview(stream), limits, {})
        tensors: dict[str, Any] = {}
        for unit in reader.tensors():
            if isinstance(unit, CarriedItem):
                tensors[unit.name] = carried_values(unit)
            else:
                for tensor in decode_in_turn(unit, reader, updates)[0]:
                    tensors[unit.names[tensor.planned.name_index]] = tensor.value
        return tensors

    return _verdict(streams, decode_stream)


def _verdict(streams: Sequence[bytes], decode_stream: Callable[[bytes], dict[str, Any]]) -> cases.Verdict:
    digest = hashlib.sha256()
    try:
        for stream in streams:
            for name, tensor in sorted(decode_stream(stream).items()):
                levels = tensor.levels.tobytes() if isinstance(tensor, QuantizedTensor) else b""
                with np.errstate(over="ignore", invalid="ignore"):
                    values = np.asarray(
                        tensor.dequantize() if isinstance(tensor, QuantizedTensor) else tensor
                    )
                digest.update(
                    repr((name, list(values.shape), str(values.dtype))).encode() + levels + values.tobytes()
                )
    except BitstreamError as error:
        return _WORDS[type(error)], -1 if error.bit_offset is None else error.bit_offset
    except Exception as error:
        return f"crash {type(error).__name__}", str(error)
    return "accept", digest.hexdigest()


def accepted_with_checksum(stream: bytes) -> bool:
    """True if a stream decodes where a checksum is required."""
    try:
        decode(stream, limits=LIMITS, require_checksum=True)
    except BitstreamError:
        return False
    return True
