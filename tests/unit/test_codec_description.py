# SPDX-License-Identifier: Apache-2.0
"""The description of a source: as it is when short, packed when names repeat, and refused when damaged."""

import base64
import json
import zlib

import numpy as np
import pytest

from nnr_codec import Decoder, LimitExceeded, Limits, MalformedBitstream, decode, encode
from nnr_codec.codec.stream.source_description import SourceDescription
from nnr_codec.model import TopologyStorageFormat, TopologyUnit

MANY = {f"layers.{i}.num_batches_tracked": np.int64(i) for i in range(40)}


def described(content: object) -> TopologyUnit:
    text = json.dumps({"nnr_codec.source": content})
    return TopologyUnit(storage_format=TopologyStorageFormat.NNR_TPL_UNREC, topology_data=text.encode())


def packed(octets: bytes) -> TopologyUnit:
    return described(base64.b85encode(octets).decode())


def test_names_that_repeat_are_packed() -> None:
    stream = encode(MANY, kind="pytorch")
    assert b"num_batches_tracked" not in stream[: stream.index(b"layers.0.")]
    decoder = Decoder()
    found = decoder.decode(stream)
    assert decoder.description.kind == "pytorch"
    assert all(found[name].dtype == np.int64 and found[name].shape == () for name in MANY)


def test_a_short_description_stays_readable() -> None:
    assert b'{"nnr_codec.source":{"dtypes":{"F16":["w"]}}}' in encode({"w": np.ones((2, 2), np.float16)})


@pytest.mark.parametrize(
    "unit",
    [
        described("not base 85: \u00e9"),
        packed(b"not deflated"),
        packed(zlib.compress(b'{"kind":"npz"}')[:-6]),
        packed(zlib.compress(b"[]")),
        packed(zlib.compress(b"{")),
        packed(zlib.compress(b'{"kind":3}')),
        described(None),
    ],
)
def test_a_damaged_description_is_malformed(unit: TopologyUnit) -> None:
    with pytest.raises(MalformedBitstream) as caught:
        SourceDescription.from_unit(unit, path="nnr_unit[2]", bit_offset=96)
    assert (caught.value.path, caught.value.bit_offset) == ("nnr_unit[2].topology_data", 96)


def test_a_packed_description_is_bounded() -> None:
    bomb = packed(zlib.compress(b" " * 100_000))
    with pytest.raises(LimitExceeded) as caught:
        SourceDescription.from_unit(bomb, limits=Limits(max_topology_bytes=1000), path="nnr_unit[2]")
    assert caught.value.path == "nnr_unit[2].topology_data"


def test_limits_reach_the_description_of_a_stream() -> None:
    stream = encode(MANY, kind="pytorch")
    with pytest.raises(LimitExceeded):
        decode(stream, limits=Limits(max_topology_bytes=600))
