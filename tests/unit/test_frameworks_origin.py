# SPDX-License-Identifier: Apache-2.0
"""What a stream remembers of its file."""

from __future__ import annotations

import base64
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnr_codec.errors import LimitExceeded, MalformedBitstream
from nnr_codec.frameworks import Origin, origin

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
maps = st.dictionaries(texts, texts, max_size=3)


@given(st.builds(Origin, st.none() | texts, maps, maps, maps, st.none() | st.binary(max_size=50)))
def test_round_trip_without_zero_bytes(value: Origin) -> None:
    text = value.to_bytes()
    assert b"\0" not in text
    assert Origin.from_bytes(text) == value


@pytest.mark.parametrize("text", [b"", b"{}", b'{"kind": "npz"}', b"graph G(x) -> (y)", b"\xff\xff"])
def test_other_texts_are_left_alone(text: bytes) -> None:
    assert Origin.from_bytes(text) is None


@pytest.mark.parametrize(
    "fields",
    [
        '"kind": 3',
        '"metadata": []',
        '"dtypes": {"a": 1}',
        '"topology": 3',
        '"topology": "*"',
        '"topology": "QUJD"',
        '"',
    ],
)
def test_damage_is_found(fields: str) -> None:
    with pytest.raises(MalformedBitstream):
        Origin.from_bytes(('{"nnr_codec_origin": 1, ' + fields + "}").encode())


def test_a_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "MAX_TOPOLOGY_BYTES", 1000)
    packed = base64.b64encode(zlib.compress(bytes(1001))).decode()
    with pytest.raises(LimitExceeded):
        Origin.from_bytes(json.dumps({"nnr_codec_origin": 1, "topology": packed}).encode())
