# SPDX-License-Identifier: Apache-2.0
"""Digests of all tensors of a stream: expectations of 64 characters, for suites that are generated and not stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from nnr_conformance.answer import TensorDigest
from nnr_conformance.divergence import Divergence
from nnr_conformance.layers import Comparison, Shown


def stream_digest(tensors: Mapping[str, TensorDigest]) -> str:
    """Digest the reconstructed tensors of a stream.

    SHA-256 over a line per tensor, in the order of the UTF-8 bytes of the names: name, data type, dimensions joined by ``x``,
    and SHA-256 of the values, each ended by a zero byte.

    >>> stream_digest({})[:16]
    'e3b0c44298fc1c14'
    """
    digest = hashlib.sha256()
    for name in sorted(tensors, key=str.encode):
        tensor = tensors[name]
        for text in (name, tensor.dtype, "x".join(map(str, tensor.shape)), tensor.sha256):
            digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def compare_digests(comparison: Comparison) -> tuple[Shown, Divergence | None]:
    """Compare the digest of every stream."""
    digests = comparison.vector.expect.digests or ()
    for stream, (expected, answer) in enumerate(zip(digests, comparison.answers, strict=True)):
        actual = stream_digest(answer.hashed_values())
        if actual != expected:
            return True, Divergence(
                layer="digests",
                message="the digest of the tensors differs",
                stream=stream,
                expected=expected,
                actual=actual,
            )
    return True, None
