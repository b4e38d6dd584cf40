# SPDX-License-Identifier: Apache-2.0
"""Streams with more than numbers in them, as the peer decodes them: the form of carriers, and the place of raw units."""

from typing import Any

import numpy as np
import pytest

from conformance.peers.client import PeerError
from nnr_codec import Encoder, EncoderConfig, decode, encode

RNG = np.random.default_rng(0)
W = RNG.normal(0, 0.1, (40, 30)).astype(np.float32)
WORDS = RNG.integers(0, 1 << 32, 5000, dtype=np.uint32)
NOTES = {"tags": "".join(map(chr, RNG.integers(32, 127, 200_000)))}


def peer_decodes(peer: Any, stream: bytes, expected: dict[str, Any]) -> None:
    ours = decode(stream)
    theirs = peer.decode(stream, levels=False).values
    assert theirs.keys() == expected.keys()
    for name in expected:
        assert np.array_equal(theirs[name].reshape(-1), ours[name].reshape(-1).astype(theirs[name].dtype))


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ({"w": W, "end": np.array(2**63 - 1)}, {}),
        ({"w": W, "none": np.zeros((0, 3), np.float16)}, {}),
        ({"none": np.zeros((0, 3), np.float16), "w": W}, {"kind": "safetensors", "metadata": NOTES}),
        ({"w": W, "inf": np.array([np.inf], np.float32)}, {}),
        ({"inf": np.array([np.inf], np.float32), "w": W}, {"kind": "npz"}),
        ({"w": W, "words": WORDS}, {"peer_compatible": True}),
        ({"w": W}, {"peer_compatible": True, "topology": bytes(range(256)) * 300}),
        ({"w": W}, {"attachments": {"config.json": b'{"a": "b"}' * 200}}),
    ],
)
def test_the_peer_reads_the_rest(peer: Any, model: dict[str, Any], options: dict[str, Any]) -> None:
    coded = {name: array for name, array in model.items() if array.dtype == np.float32}
    peer_decodes(peer, encode(model, **options), coded)


def test_the_peer_gives_short_names(peer: Any) -> None:
    assert peer.decode(encode({"first": W, "second": W}, short_names=True)).values.keys() == {"0", "1"}


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ({"w": W, "words": WORDS}, {}),
        ({"w": W}, {"topology": b"graph"}),
        ({"w": W, "v": W}, {"reference_list": True}),
        ({"w": W, "inf": np.array([np.inf], np.float32), "nan": np.array([np.nan], np.float32)}, {}),
    ],
)
def test_where_the_peer_stops(peer: Any, model: dict[str, Any], options: dict[str, Any]) -> None:
    """The exceptions that the documentation lists; should the peer learn to read one, the list is to be shortened."""
    with pytest.raises(PeerError):
        peer.decode(encode(model, **options), levels=False)


def test_the_peer_refuses_a_tensor_that_grows(peer: Any) -> None:
    """It takes no second parameter_id for a name, and no other shape for a parameter_id with the history in use."""
    encoder = Encoder(EncoderConfig(incremental=True))
    streams = [encoder.encode({"w": array}) for array in (W, W / 2, W[:20])]
    peer.decode_sequence(streams[:2])
    with pytest.raises(PeerError, match="parameter_id"):
        peer.decode_sequence(streams)
