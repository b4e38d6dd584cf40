# SPDX-License-Identifier: Apache-2.0
"""What was seen of one decoder on one vector, before anything is judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from nnr_conformance.answer import Answer, Rejection


class Status(Enum):
    """How the decoder came back, or did not."""

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
        The signal or exit code of a crash, the layer (``output``, ``protocol``) of a broken contract.
    n_orphans : int
        Processes that outlived the answer; they are dead by now.
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
        """Equal for two runs that said the same."""
        said = [
            sorted((name, told.sha256, told.shape) for name, told in tensors.items())
            for answer in self.answers
            for tensors in (answer.hashed_values(), answer.hashed_levels())
        ]
        return self.status, self.at, said, self.rejection and self.rejection.error_class
