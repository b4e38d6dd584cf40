# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests that compare this codec with the peer, run in an environment of its own."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CLIENT = Path(__file__).resolve().parents[2] / "tools" / "peer" / "client.py"


def load_client() -> ModuleType:
    """``tools/peer/client.py``, which is a tool and therefore on no import path."""
    name = "peer_client"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, CLIENT)
        if spec is None or spec.loader is None:
            raise ImportError(f"cannot load {CLIENT}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def peer_client() -> ModuleType:
    """The client module, for its exceptions and result types."""
    return load_client()


@pytest.fixture(scope="session")
def peer(peer_client: ModuleType) -> Iterator[Any]:
    """A running peer; without its environment the test is skipped, in CI it fails."""
    if peer_client.find_python() is None:
        place = os.environ.get("NNR_PEER_VENV") or ".venv-peer"
        reason = f"no peer environment in {place}; make one with `python tools/peer/environment.py`"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    with peer_client.Peer() as running:
        yield running
