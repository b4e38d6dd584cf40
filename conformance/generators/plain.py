# SPDX-License-Identifier: Apache-2.0
"""Simple streams that most cases are based on."""

from __future__ import annotations

from typing import Any

from conformance.generators import draft as d
from conformance.generators.script import TensorScript

SHAPE = (3, 4)


def ramp(**choices: Any) -> TensorScript:
    """Script of twelve values of mixed sign and size."""
    return TensorScript([0, 1, -1, 2, -3, 0, 5, -8, 13, 0, 0, -21], **{"qp_value": 3, **choices})


def one(unit: d.UnitDraft, *before: d.UnitDraft, profile: int = 0) -> bytes:
    """Write a stream that ends with one data unit."""
    return d.write_stream([d.start(profile), *(before or (d.mps(profile),)), unit])
