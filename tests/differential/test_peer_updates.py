# SPDX-License-Identifier: Apache-2.0
"""Updates and the peer: it reads the differences of ours, and we read the differences that it codes."""

import itertools
from typing import Any

import numpy as np
import pytest

from nnr_codec import BitstreamError, Decoder, EncoderConfig
from nnr_codec.updates import apply_update, encode_update
from nnr_codec.updates.low_rank import product
from tests.differential.test_peer_decodes_ours import assert_same

pytestmark = pytest.mark.peer

Arrays = dict[str, Any]


def base() -> Arrays:
    rng = np.random.default_rng(0)
    return {
        "fc.weight": rng.normal(0, 0.1, (60, 80)).astype(np.float32),
        "fc.bias": rng.normal(0, 0.1, 60).astype(np.float32),
        "conv.weight": rng.normal(0, 0.1, (16, 8, 3, 3)).astype(np.float32),
        "frozen": rng.normal(0, 0.1, (30, 40)).astype(np.float32),
    }


def tuned(before: Arrays, seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    return {
        name: array if name == "frozen" else array + rng.normal(0, 0.01, array.shape).astype(np.float32)
        for name, array in before.items()
    }


def plus(before: Arrays, changes: Arrays) -> Arrays:
    return {
        name: array + np.float32(changes[name]) if name in changes else array
        for name, array in before.items()
    }


@pytest.mark.parametrize("effort", ["fast", "medium"])
@pytest.mark.parametrize("change_error", [0.05, 0.2, 0.9])
def test_the_peers_differences_make_our_model(peer: Any, effort: str, change_error: float) -> None:
    stream = encode_update(tuned(base(), 1), base(), EncoderConfig(effort=effort), change_error=change_error)

    changes = peer.decode(stream).values

    assert set(changes) == {"fc.weight", "fc.bias", "conv.weight"}
    assert_same(apply_update(stream, base()), plus(base(), changes))


def test_a_chain(peer: Any) -> None:
    ours = theirs = base()
    for seed in range(1, 4):
        stream = encode_update(tuned(ours, seed), ours)
        ours, theirs = apply_update(stream, ours), plus(theirs, peer.decode(stream).values)

        assert_same(ours, theirs)


def test_products(peer: Any) -> None:
    stream = encode_update(tuned(base(), 1), base(), rank=4)
    decoded = peer.decode(stream).values
    changes = {"fc.bias": decoded.pop("fc.bias")}
    for name in ("fc.weight", "conv.weight"):
        g, h = decoded.pop(f"{name}_G"), decoded.pop(f"{name}_H")
        changes[name] = product(g, h).reshape(base()[name].shape)

    assert not decoded
    assert_same(apply_update(stream, base()), plus(base(), changes))


def test_many_whole_tensors(peer: Any) -> None:
    """A long description needs the form that the peer skips."""
    before = base()
    after = tuned(before, 1) | {f"new.{index}": np.float32([[1, index]] * 2) for index in range(300)}
    stream = encode_update(after, before, EncoderConfig(peer_compatible=True))

    decoded = peer.decode(stream).values

    ours = apply_update(stream, before)
    assert_same(ours, plus(before, decoded) | {name: decoded[name] for name in decoded if name not in before})


@pytest.mark.parametrize("qp", [-40, -24])
def test_the_peers_stream_of_differences(peer: Any, qp: int) -> None:
    after = tuned(base(), 1)
    changes = {name: array - base()[name] for name, array in after.items()}
    stream = peer.encode(changes, qp=qp, qp_1d=qp)

    ours = Decoder().decode(stream)

    assert_same(plus(base(), ours), plus(base(), peer.decode(stream).values))
    with pytest.raises(BitstreamError, match="does not name a base"):
        apply_update(stream, base())


def test_the_peers_incremental_series(peer: Any) -> None:
    models = [base()]
    for seed in range(1, 4):
        models.append(tuned(models[-1], seed))
    changes = [
        {name: after[name] - before[name] for name in before} for before, after in itertools.pairwise(models)
    ]
    streams = peer.encode_sequence(changes, qp=-30, qp_1d=-40)
    decoder, ours, theirs = Decoder(), base(), base()

    for stream, decoded in zip(streams, peer.decode_sequence(streams, history=False), strict=True):
        ours, theirs = plus(ours, decoder.decode(stream)), plus(theirs, decoded.values)
        assert_same(ours, theirs)
        with pytest.raises(BitstreamError):
            apply_update(stream, base())
