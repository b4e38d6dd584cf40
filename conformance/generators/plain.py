# SPDX-License-Identifier: Apache-2.0
"""The plainest of streams, which most cases start from."""

from __future__ import annotations

from conformance.generators import draft as d
from conformance.generators.script import TensorScript

SHAPE = (3, 4)


def ramp(**choices: object) -> TensorScript:
    """Twelve values of mixed sign and size."""
    return TensorScript([0, 1, -1, 2, -3, 0, 5, -8, 13, 0, 0, -21], **{"qp_value": 3, **choices})


def one(unit: d.UnitDraft, *before: d.UnitDraft, profile: int = 0) -> bytes:
    """A stream with one data unit at its end."""
    return d.write_stream([d.start(profile), *(before or (d.mps(profile),)), unit])
