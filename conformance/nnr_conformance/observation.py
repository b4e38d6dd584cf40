# SPDX-License-Identifier: Apache-2.0
"""Observed behaviour of a decoder on one vector, before it is judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from nnr_conformance.answer import Answer, Rejection


class Status(Enum):
    """Outcome of one run."""

    DECODED = "decoded"
    REJECTED = "rejected"
    UNSUPPORTED = "unsupported"
    CRASHED = "crashed"
    TIMED_OUT = "timed out"
    OUT_OF_MEMORY = "out of memory"
    BROKE_CONTRACT = "broke the contract"


@dataclass
class Observation:
    """One run of a decoder on one vector.

    Parameters
    ----------
    at : str
        Signal or exit code of a crash; layer (``output``, ``protocol``) of a broken contract.
    n_orphans : int
        Number of processes that outlived the answer and were killed.
    """

    status: Status
    answers: list[Answer] = field(default_factory=list)
    rejection: Rejection | None = None
    at: str = ""
    detail: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    n_orphans: int = 0

    def fingerprint(self) -> object:
        """Value that is equal for runs with equal answers."""
        digests = [
            sorted((name, digest.sha256, digest.shape) for name, digest in tensors.items())
            for answer in self.answers
            for tensors in (answer.hashed_values(), answer.hashed_levels())
        ]
        return self.status, self.at, digests, self.rejection and self.rejection.error_class
