# SPDX-License-Identifier: Apache-2.0
"""Which vectors NNCodec decodes the same, from the log of a run of the checker.

``nnr conformance run --suite core --suite extended -d nncodec --log nncodec.log``
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from nnr_conformance.suite import find_suites

PEER = "nncodec 2.1.3"


def agreements_of(log: Path, suites: Path | None = None) -> dict[str, list[str]]:
    """Return, by digest of a vector's streams, who agrees; levels alone where only the data type differs."""
    keys = {}
    for suite in find_suites(suites):
        for vector in suite.manifest.vectors:
            joined = b"".join(bytes.fromhex(stream.sha256) for stream in vector.streams)
            keys[vector.id] = hashlib.sha256(joined).hexdigest()[:32]
    found: dict[str, list[str]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        result = json.loads(line)
        if result.get("event") != "result" or result["suite"] not in ("core", "extended"):
            continue
        if result["verdict"] == "PASS":
            found[keys[result["vector"]]] = [PEER]
        elif result.get("layers", {}).get("levels") == "pass":
            found[keys[result["vector"]]] = [f"{PEER} (levels)"]
    return found
