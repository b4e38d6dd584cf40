# SPDX-License-Identifier: Apache-2.0
"""Published JSON Schemas, rendered from the dataclasses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nnr_conformance.adapter import Adapter
from nnr_conformance.answer import Report
from nnr_conformance.baseline import Baseline
from nnr_conformance.certificate import Certificate
from nnr_conformance.coverage import Coverage
from nnr_conformance.json_schema import schema_of
from nnr_conformance.levels import Levels
from nnr_conformance.manifest import Manifest
from nnr_conformance.result import EndEvent, Result, RunEvent

SCHEMAS: dict[str, tuple[type[Any], str]] = {
    "manifest": (Manifest, "NNC conformance suite"),
    "coverage": (Coverage, "Coverage of the NNC conformance suites"),
    "report": (Report, "Report of a decoder about one stream"),
    "adapter": (Adapter, "Adapter of a decoder under test"),
    "levels": (Levels, "Levels of conformance of NNC decoders"),
    "certificate": (Certificate, "Certificate of the conformance of an NNC decoder"),
    "baseline": (Baseline, "Known failures of a decoder"),
    "log-run": (RunEvent, "First event of a log"),
    "log-result": (Result, "Result event of a log"),
    "log-end": (EndEvent, "Last event of a log"),
}


def render_schemas() -> dict[str, str]:
    """Render every schema: file name to text."""
    return {
        f"{name}.schema.json": json.dumps(schema_of(cls, title), indent=1, ensure_ascii=False) + "\n"
        for name, (cls, title) in SCHEMAS.items()
    }


def write_schemas(folder: Path) -> None:
    """Write every schema into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in render_schemas().items():
        (folder / name).write_text(text, encoding="utf-8")
