# SPDX-License-Identifier: Apache-2.0
"""Calling a Python decoder, and putting what it does into the contract's terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nnr_conformance.answer import Answer, Rejected, Unsupported
from nnr_conformance.arrays import Array
from nnr_conformance.observation import Observation, Status

DecodeFunction = Callable[[Sequence[bytes]], Sequence["Answer | Mapping[str, Array]"]]
"""Takes the streams of a vector in order, gives one answer for each; raises `Rejected` or `Unsupported`."""


def observe_call(function: DecodeFunction, streams: Sequence[bytes]) -> Observation:
    """Call a decode function and put what it does into the contract's terms."""
    try:
        answers = [
            answer if isinstance(answer, Answer) else Answer(values=dict(answer))
            for answer in function(streams)
        ]
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
