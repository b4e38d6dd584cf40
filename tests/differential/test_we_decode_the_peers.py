# SPDX-License-Identifier: Apache-2.0
"""Streams of the peer, decoded to the same tensors, and sizes at equal settings."""

from typing import Any

import numpy as np
import pytest

from nnr_codec import Decoder, decode, encode
from tests.differential.test_peer_decodes_ours import assert_same, model

pytestmark = pytest.mark.peer

OPTIONS: list[dict[str, Any]] = [
    {"qp": qp, "dependent": dependent, "profile": profile}
    for qp in (-38, -20, -8)
    for dependent in (False, True)
    for profile in (0, 1)
] + [
    {"qp": -20, "codebook": True, "dependent": False},
    {"qp": -20, "unary_length": 1},
    {"qp": -20, "unary_length": 30},
    {"qp": -20, "init_search": False},
    {"qp": -20, "row_skipping": False},
    {"qp": -20, "qp_density": 4},
    {"bitdepth": 4, "dependent": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_peers_streams(peer: Any, options: dict[str, Any]) -> None:
    stream = peer.encode(model(5), **options)
    assert_same(decode(stream), peer.decode(stream).values)


def test_the_peers_series(peer: Any) -> None:
    rng = np.random.default_rng(6)
    updates = [
        {"w": (rng.normal(0, 1, (9, 12)) * (rng.random((9, 12)) < 0.4)).astype(np.float32)} for _ in range(6)
    ]
    updates[3]["w"][:] = 0
    for history in (False, True):
        streams = peer.encode_sequence(updates, qp=-8, history=history)
        decoder = Decoder()
        for stream, theirs in zip(streams, peer.decode_sequence(streams), strict=True):
            assert_same(decoder.decode(stream), theirs.values)


@pytest.mark.parametrize("dependent", [False, True])
@pytest.mark.parametrize("qp", [-38, -24, -8])
def test_we_never_write_more_at_the_same_settings(peer: Any, qp: int, dependent: bool) -> None:
    # The peer takes a single row or column for a matrix; it is a vector here, and coded more finely.
    tensors = {
        name: values
        for name, values in model(7).items()
        if values.dtype == np.float32 and sum(extent > 1 for extent in values.shape) > 1
    }
    theirs = peer.encode(tensors, qp=qp, dependent=dependent)
    ours = encode(tensors, qp=qp, dependent=dependent, effort="fast")
    assert len(ours) <= len(theirs)

    def squared_error(stream: bytes) -> float:
        decoded = decode(stream)
        return sum(float(((decoded[n].astype(np.float64) - tensors[n]) ** 2).sum()) for n in tensors)

    assert squared_error(ours) <= squared_error(theirs) * (1 + 1e-9)
