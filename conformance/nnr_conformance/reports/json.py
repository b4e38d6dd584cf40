# SPDX-License-Identifier: Apache-2.0
"""JSON: the logs and their counts in one document."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nnr_conformance.record import write_record
from nnr_conformance.result import Log
from nnr_conformance.tally import by_feature


def render_json(logs: Sequence[Log]) -> str:
    """A list of runs, each with its results, its features and its end."""
    runs = [
        {
            "run": write_record(log.run),
            "conforms": log.conforms,
            "features": {
                name: {"passed": count.passed, "failed": count.failed, "skipped": count.skipped}
                for name, count in by_feature(log.results).items()
            },
            "results": [write_record(result) for result in log.results],
            "end": None if log.end is None else write_record(log.end),
        }
        for log in logs
    ]
    return (
        json.dumps({"format": "nnr-conformance-results/1", "runs": runs}, indent=1, ensure_ascii=False) + "\n"
    )
