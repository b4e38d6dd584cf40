# SPDX-License-Identifier: Apache-2.0
"""Interface between the runner and a decoder under test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nnr_conformance.json_schema import json_field
from nnr_conformance.limits import Limits
from nnr_conformance.observation import Observation
from nnr_conformance.vector import Vector


@dataclass(frozen=True, kw_only=True)
class Claims:
    """Claims of a decoder; vectors outside of them are skipped, and the statement lists the claims."""

    name: str = json_field("Name of the decoder.", default="decoder")
    version: str = json_field("Version of the decoder.", default="")
    profiles: tuple[int, ...] = json_field(
        "Values of general_profile_idc that the decoder supports.", default=(0, 1)
    )
    without: tuple[str, ...] = json_field("Registered features that the decoder lacks.", default=())

    def exclude(self, vector: Vector) -> str:
        """Reason why a vector is outside the claims; empty if it is inside."""
        if vector.profile not in self.profiles:
            return f"profile {vector.profile} is not claimed"
        lacking = [feature for feature in vector.features if feature in self.without]
        return f"not claimed: {', '.join(lacking)}" if lacking else ""


class Decoder(Protocol):
    """Decoder under test; it may stay alive between vectors."""

    @property
    def claims(self) -> Claims:
        """Claims of the decoder."""
        ...

    def start(self, workspace: Path, limits: Limits) -> None:
        """Start the decoder and read its claims where a handshake reports them; raises `StartError`."""
        ...

    def decode(
        self,
        streams: Sequence[Path],
        outputs: Sequence[Path],
        limits: Limits,
        dimensions: Mapping[str, Sequence[int]] | None = None,
    ) -> Observation:
        """Decode one vector, with shapes from outside the streams; returns within the limits whatever the decoder does."""
        ...

    def close(self) -> None:
        """End the decoder and all processes that it started."""
        ...
