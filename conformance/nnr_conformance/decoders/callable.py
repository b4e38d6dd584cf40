# SPDX-License-Identifier: Apache-2.0
"""Python callables in the running process, without limits; for debuggers and other test suites."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnr_conformance.decode_function import DecodeFunction, observe_call
from nnr_conformance.decoders.decoder import Claims
from nnr_conformance.limits import Limits
from nnr_conformance.observation import Observation


@dataclass
class CallableDecoder:
    """Decode function called directly; its crash is a crash of the runner."""

    function: DecodeFunction
    claims: Claims = field(default_factory=Claims)

    def start(self, workspace: Path, limits: Limits) -> None:
        """Do nothing."""

    def decode(
        self,
        streams: Sequence[Path],
        outputs: Sequence[Path],  # noqa: ARG002 - arrays are returned in memory
        limits: Limits,  # noqa: ARG002 - the running process cannot be limited
    ) -> Observation:
        """Call the function on the streams of a vector."""
        start_time = time.monotonic()
        seen = observe_call(self.function, [path.read_bytes() for path in streams])
        seen.seconds = time.monotonic() - start_time
        return seen

    def close(self) -> None:
        """Do nothing."""
