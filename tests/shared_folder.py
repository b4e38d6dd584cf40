# SPDX-License-Identifier: Apache-2.0
"""Folder of the peer's streams and of real models, for tests that need them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(os.environ.get("NNR_SHARED", Path(__file__).parents[2] / "shared"))
VECTORS = SHARED / "vectors"

needs_shared = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="the peer's streams are not here (NNR_SHARED names their folder)"
)


def peer_streams() -> list[dict[str, Any]]:
    """Index of the peer's streams; empty if they are missing."""
    index = VECTORS / "index.json"
    return json.loads(index.read_text()) if index.exists() else []
