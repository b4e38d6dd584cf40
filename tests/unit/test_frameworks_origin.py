# SPDX-License-Identifier: Apache-2.0
"""What a stream remembers of its file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnr_codec.errors import MalformedBitstream
from nnr_codec.frameworks import Origin

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
maps = st.dictionaries(texts, texts, max_size=3)


origins = st.builds(
    Origin,
    texts,
    maps,
    st.dictionaries(texts, texts, min_size=1, max_size=3),
    st.lists(texts, max_size=3).map(tuple),
    st.just(()),
    st.booleans(),
)


@given(origins)
def test_round_trip(value: Origin) -> None:
    assert Origin.from_metadata(value.kind, value.to_metadata()) == value


def test_other_metadata_stays() -> None:
    metadata = {"format": "pt", "": "x"}
    assert Origin.from_metadata("npz", metadata) == Origin("npz", metadata)
    assert Origin("npz", metadata).to_metadata() == metadata


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("nnr_codec.tied", ""), ("nnr_codec.tied", "3"), ("nnr_codec.tied", "[3, []]"),
        ("nnr_codec.tied", '[{"a": 1}, []]'), ("nnr_codec.tied", "[{}, [1]]"),
        ("nnr_codec.tied", "[" * 100000),
        ("nnr_codec.shards", "3"), ("nnr_codec.shards", '[["a", 1]]'), ("nnr_codec.shards", "[[-1, 1]]"),
    ],
)  # fmt: skip
def test_damage_is_found(entry: str, text: str) -> None:
    with pytest.raises(MalformedBitstream):
        Origin.from_metadata("npz", {entry: text})
