# SPDX-License-Identifier: Apache-2.0
"""JSON report: logs and counts in one document."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nnr_conformance.json_schema import to_json
from nnr_conformance.result import Log
from nnr_conformance.tally import by_feature


def render_json(logs: Sequence[Log]) -> str:
    """Render a list of runs with results, counts by feature, and end events."""
    runs = [
        {
            "run": to_json(log.run),
            "conforms": log.conforms,
            "features": {
                name: {"passed": count.passed, "failed": count.failed, "skipped": count.skipped}
                for name, count in by_feature(log.results).items()
            },
            "results": [to_json(result) for result in log.results],
            "end": None if log.end is None else to_json(log.end),
        }
        for log in logs
    ]
    return (
        json.dumps({"format": "nnr-conformance-results/1", "runs": runs}, indent=1, ensure_ascii=False) + "\n"
    )
