# SPDX-License-Identifier: Apache-2.0
"""Fixture of the peer, a codec in a separate environment."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from conformance.peers.client import Peer, find_python


@pytest.fixture(scope="session")
def peer() -> Iterator[Peer]:
    """A running peer; without its environment the test is skipped, in CI it fails."""
    if find_python() is None:
        place = os.environ.get("NNR_PEER_VENV") or ".venv-peer"
        reason = f"no peer environment in {place}; `python -m conformance.peers.environment` makes it"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    with Peer() as running:
        yield running
