# SPDX-License-Identifier: Apache-2.0
"""Toy format and decoder for testing the checker without a codec.

A toy stream is ``TOY1``, a line break, one line of JSON and ``END``. The JSON has ``tensors`` (name to nested
lists of integers) and may have

- ``update``: the levels are added to those of the previous stream;
- ``feature``: an unsupported feature;
- ``elements``: an element count that is checked against a limit;
- ``fault``: the fault that a broken decoder seeds.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnr_conformance.answer import Answer, BytesDigest, Rejected, Report, Unsupported
from nnr_conformance.arrays import Array
from nnr_conformance.expectation import ExpectedUnit
from nnr_conformance.json_schema import to_json

CLAIMS = {"name": "toy", "version": "1"}
MAGIC = b"TOY1\n"
STEP_SIZE = 0.375
_MAX_ELEMENTS = 1_000_000


def build_toy(content: dict[str, Any]) -> bytes:
    """Build a toy stream."""
    return MAGIC + json.dumps(content).encode() + b"\nEND"


def decode(streams: Sequence[bytes]) -> list[Answer]:
    """Decode toy streams correctly."""
    answers: list[Answer] = []
    levels: dict[str, Array] = {}
    for number, stream in enumerate(streams):
        content = _parse(stream, number)
        if not content.get("update"):
            levels = {}
        carried = {name: np.array(value, np.int32) for name, value in content["tensors"].items()}
        levels = {name: level + levels[name] if name in levels else level for name, level in carried.items()}
        answers.append(
            Answer(
                values={
                    name: level.astype(np.float32) * np.float32(STEP_SIZE) for name, level in levels.items()
                },
                levels=dict(levels),
                bits={
                    name: 40 + 8 * np.arange(level.size, dtype=np.uint32) for name, level in levels.items()
                },
                report=_report(stream, list(levels)),
                trace="0\t40\tmagic\tTOY1\n",
            )
        )
    return answers


def fault_of(streams: Sequence[bytes]) -> str:
    """Name of the fault that a vector selects; readable in damaged streams too."""
    asked = re.search(rb'"fault": "([a-z-]+)"', streams[0])
    return asked[1].decode() if asked else "none"


def toy_units(stream: bytes) -> tuple[ExpectedUnit, ...]:
    """Units of a toy stream: the magic and the rest."""
    return (
        ExpectedUnit(nnr_unit_type=0, byte_offset=0, nnr_unit_size=len(MAGIC)),
        ExpectedUnit(nnr_unit_type=5, byte_offset=len(MAGIC), nnr_unit_size=len(stream) - len(MAGIC)),
    )


def _parse(stream: bytes, number: int) -> dict[str, Any]:
    if not stream.startswith(MAGIC):
        raise Rejected("bad magic", error_class="malformed", bit_offset=0, stage="framing", stream=number)
    body = stream[len(MAGIC) :]
    if not body.endswith(b"\nEND"):
        raise Rejected(
            "no END", error_class="truncated", bit_offset=8 * len(stream), stage="payload", stream=number
        )
    content: dict[str, Any] = json.loads(body[:-4])
    if "feature" in content:
        raise Unsupported(content["feature"])
    if content.get("elements", 0) > _MAX_ELEMENTS:
        raise Rejected("too many elements", error_class="limit", stage="header", stream=number)
    return content


def _report(stream: bytes, names: Sequence[str]) -> Report:
    rebuilt = build_toy(json.loads(stream[len(MAGIC) : -4]))
    return Report(
        format="nnr-conformance-report/1",
        units=tuple(to_json(unit) for unit in toy_units(stream)),
        arithmetic={name: {"range": 510, "offset": len(stream) % 510} for name in names},
        topology=(),
        reencode=BytesDigest(size_bytes=len(rebuilt), sha256=hashlib.sha256(rebuilt).hexdigest()),
    )
