# SPDX-License-Identifier: Apache-2.0
"""A Python callable in this very process: for debuggers and for another test suite, without any limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnr_conformance.answer import Answer, Rejected, Unsupported
from nnr_conformance.arrays import Array
from nnr_conformance.decoders.decoder import Claims
from nnr_conformance.limits import Limits
from nnr_conformance.observation import Observation, Status

DecodeFunction = Callable[[Sequence[bytes]], Sequence["Answer | Mapping[str, Array]"]]
"""Takes the streams of a vector in order, gives one answer for each; raises `Rejected` or `Unsupported`."""


@dataclass
class CallableDecoder:
    """A decode function called directly; a crash of it is a crash of the runner."""

    function: DecodeFunction
    claims: Claims = field(default_factory=Claims)

    def start(self, workspace: Path, limits: Limits) -> None:
        """Nothing to do."""

    def decode(self, streams: Sequence[Path], outputs: Sequence[Path], limits: Limits) -> Observation:
        begun = time.monotonic()
        seen = observe_call(self.function, [path.read_bytes() for path in streams])
        seen.seconds = time.monotonic() - begun
        return seen

    def close(self) -> None:
        """Nothing to do."""


def observe_call(function: DecodeFunction, streams: Sequence[bytes]) -> Observation:
    """Call a decode function and put what it does into the contract's terms."""
    try:
        answers = [answer if isinstance(answer, Answer) else Answer(values=dict(answer)) for answer in function(streams)]
    except Rejected as rejected:
        return Observation(Status.REJECTED, rejection=rejected.rejection)
    except Unsupported as unsupported:
        return Observation(Status.UNSUPPORTED, detail=str(unsupported))
    except MemoryError:
        return Observation(Status.OUT_OF_MEMORY, at="MemoryError")
    except Exception as error:
        # Not an answer of the contract: the decoder broke, whatever it raised.
        return Observation(Status.CRASHED, at=type(error).__name__, detail=str(error))
    return Observation(Status.DECODED, answers)
