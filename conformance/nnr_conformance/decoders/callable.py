# SPDX-License-Identifier: Apache-2.0
"""A Python callable in this very process: for debuggers and for another test suite, without any limit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnr_conformance.call import DecodeFunction, observe_call
from nnr_conformance.decoders.decoder import Claims
from nnr_conformance.limits import Limits
from nnr_conformance.observation import Observation


@dataclass
class CallableDecoder:
    """A decode function called directly; a crash of it is a crash of the runner."""

    function: DecodeFunction
    claims: Claims = field(default_factory=Claims)

    def start(self, workspace: Path, limits: Limits) -> None:
        """Nothing to do."""

    def decode(
        self,
        streams: Sequence[Path],
        outputs: Sequence[Path],  # noqa: ARG002 - the arrays come back as they are
        limits: Limits,  # noqa: ARG002 - nothing can be limited here
    ) -> Observation:
        """Call the function."""
        begun = time.monotonic()
        seen = observe_call(self.function, [path.read_bytes() for path in streams])
        seen.seconds = time.monotonic() - begun
        return seen

    def close(self) -> None:
        """Nothing to do."""
