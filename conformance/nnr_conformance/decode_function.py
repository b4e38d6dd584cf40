# SPDX-License-Identifier: Apache-2.0
"""Calls of Python decode functions, observed in the terms of the contract."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence

from nnr_conformance.answer import Answer, Rejected, Unsupported
from nnr_conformance.arrays import Array
from nnr_conformance.observation import Observation, Status

DecodeFunction = Callable[..., Sequence["Answer | Mapping[str, Array]"]]
"""Function from the streams of a vector, in order, to one answer per stream; raises `Rejected` or `Unsupported`.

A function with a parameter ``dimensions`` also decodes vectors with shapes from outside: it gets them by name.
"""


def observe_call(
    function: DecodeFunction, streams: Sequence[bytes], dimensions: Mapping[str, Sequence[int]] | None = None
) -> Observation:
    """Call a decode function and report the outcome in the terms of the contract."""
    supplied = (
        {"dimensions": {name: tuple(shape) for name, shape in dimensions.items()}} if dimensions else {}
    )
    if supplied and "dimensions" not in inspect.signature(function).parameters:
        return Observation(Status.UNSUPPORTED, detail="the function has no parameter `dimensions`")
    try:
        answers = [
            answer if isinstance(answer, Answer) else Answer(values=dict(answer))
            for answer in function(streams, **supplied)
        ]
    except Rejected as rejected:
        return Observation(Status.REJECTED, rejected.answers, rejection=rejected.rejection)
    except Unsupported as unsupported:
        return Observation(Status.UNSUPPORTED, detail=str(unsupported))
    except MemoryError:
        return Observation(Status.OUT_OF_MEMORY, at="MemoryError")
    except Exception as error:
        # Any other exception is a crash of the decoder.
        return Observation(Status.CRASHED, at=type(error).__name__, detail=str(error))
    return Observation(Status.DECODED, answers)
