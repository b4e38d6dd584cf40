# SPDX-License-Identifier: Apache-2.0
"""Outcomes of the model on generated streams, which the records of the seeded suites hold."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nnr_conformance.answer import TensorDigest
from nnr_conformance.digests import stream_digest

from spec.model import Limits, Session, StreamError, Tensor
from spec.model.errors import Limit

#: Damaged streams with larger tensors are left out: decoders differ in their limits, and time would go into zeros.
SMALL = Limits(tensor_elements=1 << 15, stream_elements=1 << 16, tensor_dimensions=32, topology_elements=1 << 12,
               codebook_size=1 << 12, entry_points=1 << 12)  # fmt: skip


class LeftOut(Exception):
    """Streams without one right outcome: they exceed small limits, or a value is not fixed."""


@dataclass(frozen=True)
class Outcome:
    """Digest of the tensors of each stream, or a rejection."""

    digests: tuple[str, ...] = ()
    error_class: str = ""
    bit: int = 0
    stream: int = 0

    def text(self) -> str:
        """Return the outcome as words."""
        return (
            f"{self.error_class} {self.bit} {self.stream}"
            if self.error_class
            else " ".join(("accept", *self.digests))
        )

    @classmethod
    def parse(cls, text: str) -> Outcome:
        """Read the words of `text`.

        >>> Outcome.parse("malformed 17 0").bit
        17
        """
        word, *rest = text.split(" ")
        return cls(tuple(rest)) if word == "accept" else cls((), word, int(rest[0]), int(rest[1]))


def _has_nan(tensor: Tensor) -> bool:
    return tensor.dtype == "float32" and bool(np.isnan(np.frombuffer(tensor.value_bytes, "<f4")).any())


def outcome_of(streams: Sequence[bytes], limits: Limits = SMALL) -> Outcome:
    """Decode a sequence with the model.

    Raises
    ------
    LeftOut
        If the outcome depends on the limits or the choices of a decoder.
    """
    session = Session(limits)
    digests = []
    for number, stream in enumerate(streams):
        try:
            decoded = session.decode(stream)
        except Limit as error:
            raise LeftOut(error.message) from error
        except StreamError as error:
            return Outcome((), error.verdict, error.bit_offset, number)
        if any(tensor.levels is not None and _has_nan(tensor) for tensor in decoded.tensors.values()):
            raise LeftOut("the sign and the payload of a NaN are not fixed (decision 0007)")
        tensors = {
            name: TensorDigest(
                dtype=tensor.dtype, shape=tensor.shape, sha256=hashlib.sha256(tensor.value_bytes).hexdigest()
            )
            for name, tensor in decoded.tensors.items()
        }
        digests.append(stream_digest(tensors))
    return Outcome(tuple(digests))
