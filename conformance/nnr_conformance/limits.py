# SPDX-License-Identifier: Apache-2.0
"""Limits of time, memory and output per vector."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nnr_conformance.vector import Vector


@dataclass(frozen=True)
class Limits:
    """Limits of one run; the bounds of a vector tighten them.

    Parameters
    ----------
    seconds : float
        Wall-clock time in seconds.
    cpu_seconds : float, optional
        CPU time of all processes of the decoder, in seconds. On a busy machine it replaces ``seconds``, which is then generous.
    memory_bytes : int
        Resident memory of all processes of the decoder, in bytes.
    output_bytes : int
        Length of every file that the decoder writes, terminal output included.
    time_scale : float
        Factor on the time bounds of vectors, for slow decoders and slow machines.
    """

    seconds: float = 60.0
    memory_bytes: int = 2 << 30
    output_bytes: int = 1 << 30
    time_scale: float = 1.0
    cpu_seconds: float | None = None

    def of(self, vector: Vector) -> Limits:
        """Limits of one vector."""
        if vector.bounds is None:
            return self
        return replace(
            self,
            seconds=min(self.seconds, vector.bounds.seconds * self.time_scale),
            memory_bytes=min(self.memory_bytes, vector.bounds.memory_bytes),
        )
