# SPDX-License-Identifier: Apache-2.0
"""What the runner asks of a decoder under test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nnr_conformance.limits import Limits
from nnr_conformance.observation import Observation
from nnr_conformance.record import item
from nnr_conformance.vector import Vector


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a decoder says it is; outside of it vectors are skipped, and the statement says so."""

    name: str = item("Name.", default="decoder")
    version: str = item("Version.", default="")
    profiles: tuple[int, ...] = item("The values of general_profile_idc that it decodes.", default=(0, 1))
    without: tuple[str, ...] = item("Registered features that it does not have.", default=())

    def exclude(self, vector: Vector) -> str:
        """Why the vector is outside the claim; empty when it is inside."""
        if vector.profile not in self.profiles:
            return f"profile {vector.profile} is not claimed"
        lacking = [feature for feature in vector.features if feature in self.without]
        return f"not claimed: {', '.join(lacking)}" if lacking else ""


class Decoder(Protocol):
    """A decoder under test, alive between vectors where its kind allows it."""

    @property
    def claims(self) -> Claims:
        """What it says it is."""
        ...

    def start(self, workspace: Path, limits: Limits) -> None:
        """Get ready; raises `StartError`. Learns the claims where they come by handshake."""
        ...

    def decode(self, streams: Sequence[Path], outputs: Sequence[Path], limits: Limits) -> Observation:
        """Decode one vector; whatever the decoder does, it comes back within the limits."""
        ...

    def close(self) -> None:
        """End it and everything it has started."""
        ...
