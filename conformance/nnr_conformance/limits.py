# SPDX-License-Identifier: Apache-2.0
"""What a decoder may spend on one vector."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nnr_conformance.vector import Vector


@dataclass(frozen=True)
class Limits:
    """Limits of one run; a vector's own bounds tighten them.

    Parameters
    ----------
    seconds : float
        Wall-clock time.
    cpu_seconds : float, optional
        CPU time of all the decoder's processes together; for a busy machine, with generous ``seconds``.
    memory_bytes : int
        Resident memory of all the decoder's processes together.
    output_bytes : int
        Length of any one file that the decoder writes, its terminal output included.
    time_scale : float
        Multiplies a vector's own time bound, for slow decoders and slow machines.
    """

    seconds: float = 60.0
    memory_bytes: int = 2 << 30
    output_bytes: int = 1 << 30
    time_scale: float = 1.0
    cpu_seconds: float | None = None

    def of(self, vector: Vector) -> Limits:
        """The limits that hold for one vector."""
        if vector.bounds is None:
            return self
        return replace(
            self,
            seconds=min(self.seconds, vector.bounds.seconds * self.time_scale),
            memory_bytes=min(self.memory_bytes, vector.bounds.memory_bytes),
        )
