# SPDX-License-Identifier: Apache-2.0
"""Speed relative to NNCodec on a real network: whole calls, processor time, one core.

`python tools/dev.py test -- -n 0 tests/bench` runs them without other tests beside them.
"""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from conformance.peers.client import find_python
from nnr_codec import decode, encode
from tests.shared_folder import SHARED
from tools.bench.models import resnet56
from tools.real_models import is_here

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        find_python() is None, reason="NNCodec's environment is not here: tools/dev.py peer makes it"
    ),
    pytest.mark.skipif(
        not is_here("resnet56", SHARED), reason="resnet56 is not here (NNR_SHARED names its folder)"
    ),
]
#: Floors for busy machines; tools/dev.py bench measures against what is wanted.
LEAST = {"decode": 2.2, "fast": 6.0, "default": 4.0}


@pytest.mark.parametrize("direction", LEAST)
def test_ratio_on_resnet56(benchmark: Any, direction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from conformance.peers.client import Peer

    monkeypatch.setenv("NNR_SHARED", os.fspath(Path(SHARED)))
    model = resnet56()
    assert model is not None
    with Peer() as peer:
        stream = peer.encode(model.tensors, qp=model.qp, dependent=True)
        work = {
            "decode": lambda: decode(stream),
            "fast": lambda: encode(model.tensors, qp=model.qp, effort="fast"),
            "default": lambda: encode(model.tensors, qp=model.qp),
        }[direction]
        theirs = (
            peer.time_decode(stream, repeat=3)
            if direction == "decode"
            else peer.time_encode(model.tensors, repeat=1, qp=model.qp, dependent=True)
        )
        benchmark.pedantic(work, rounds=5, warmup_rounds=1)
        ours = min(_cpu_seconds(work) for _ in range(3))
        ratio = min(theirs.api_cpu_seconds) / ours
    benchmark.extra_info["times NNCodec"] = round(ratio, 2)
    print(f"\n{direction}: {ratio:.2f} times NNCodec's speed")
    assert ratio >= LEAST[direction]


def _cpu_seconds(work: Any) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
