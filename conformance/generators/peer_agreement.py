# SPDX-License-Identifier: Apache-2.0
"""Agreement of NNCodec with the vectors, from the log of a checker run.

``nnr conformance run --suite core --suite extended -d nncodec --log nncodec.log``
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from nnr_conformance.suite import find_suites

PEER = "nncodec 2.1.3"


def agreements_of(log: Path, suites: Path | None = None) -> dict[str, list[str]]:
    """Agreement by digest of the streams; marked "levels" where only the data type of values differs."""
    keys = {}
    for suite in find_suites(suites):
        for vector in suite.manifest.vectors:
            joined = b"".join(bytes.fromhex(stream.sha256) for stream in vector.streams)
            keys[vector.id] = hashlib.sha256(joined).hexdigest()[:32]
    agreements: dict[str, list[str]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        result = json.loads(line)
        if result.get("event") != "result" or result["suite"] not in ("core", "extended"):
            continue
        if result["verdict"] == "PASS":
            agreements[keys[result["vector"]]] = [PEER]
        elif result.get("layers", {}).get("levels") == "pass":
            agreements[keys[result["vector"]]] = [f"{PEER} (levels)"]
    return agreements
