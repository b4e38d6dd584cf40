# SPDX-License-Identifier: Apache-2.0
"""Hostile source descriptions end in a BitstreamError."""

import json
from typing import Any

import pytest

from nnr_codec import MalformedBitstream, decode
from nnr_codec.model import StartUnit, TopologyStorageFormat, TopologyUnit
from nnr_codec.syntax import SyntaxState, build_unit


def described(description: Any) -> bytes:
    text = json.dumps({"nnr_codec.source": description}, separators=(",", ":")).encode()
    unit = TopologyUnit(storage_format=TopologyStorageFormat.NNR_TPL_UNREC, topology_data=text)
    return build_unit(StartUnit(1), SyntaxState()) + build_unit(unit, SyntaxState(general_profile_idc=1))


@pytest.mark.parametrize(
    "description",
    [
        {"suffixes": {"F16": 3}},
        {"suffixes": 3},
        {"names": {"F16": {"x": 1}}},
        {"type": None},
        {"metadata": [1]},
        [],
    ],
)
def test_a_description_that_cannot_be_is_malformed_and_has_a_place(description: Any) -> None:
    with pytest.raises(MalformedBitstream) as caught:
        decode(described(description))
    assert caught.value.path == "nnr_unit[1].topology_data"
    assert caught.value.bit_offset == 32


def test_descriptions_within_descriptions_are_malformed() -> None:
    stream = described({"names": {}})
    deep = b"[" * 20_000
    body = stream[6:].replace(b"{}", deep)
    with pytest.raises(MalformedBitstream):
        decode(stream[:4] + (len(body) + 2).to_bytes(2, "big") + body)
