# SPDX-License-Identifier: Apache-2.0
"""The published JSON Schemas: renderings of the records, so that they cannot say anything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nnr_conformance.adapter import Adapter
from nnr_conformance.answer import Report
from nnr_conformance.baseline import Baseline
from nnr_conformance.coverage import Coverage
from nnr_conformance.manifest import Manifest
from nnr_conformance.record import json_schema
from nnr_conformance.result import EndEvent, Result, RunEvent

SCHEMAS: dict[str, tuple[type[Any], str]] = {
    "manifest": (Manifest, "NNC conformance suite"),
    "coverage": (Coverage, "Coverage of the NNC conformance suites"),
    "report": (Report, "What a decoder tells about one stream beside its arrays"),
    "adapter": (Adapter, "How to reach a decoder under test"),
    "baseline": (Baseline, "Known failures of a decoder"),
    "log-run": (RunEvent, "First event of a results log"),
    "log-result": (Result, "A vector's event of a results log"),
    "log-end": (EndEvent, "Last event of a results log"),
}


def render_schemas() -> dict[str, str]:
    """File name to text."""
    return {
        f"{name}.schema.json": json.dumps(json_schema(cls, title), indent=1, ensure_ascii=False) + "\n"
        for name, (cls, title) in SCHEMAS.items()
    }


def write_schemas(folder: Path) -> None:
    """Write ``conformance/schema``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in render_schemas().items():
        (folder / name).write_text(text, encoding="utf-8")
