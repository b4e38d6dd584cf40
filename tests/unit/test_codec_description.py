# SPDX-License-Identifier: Apache-2.0
"""Source description: small for any model, in carrier units if long, refused if damaged."""

import copy
import json
import pickle

import numpy as np
import pytest

from nnr_codec import (
    Decoder,
    LimitExceeded,
    Limits,
    MalformedBitstream,
    NotEncodable,
    decode,
    describe,
    encode,
)
from nnr_codec._native import CarriedItem, SourceReader
from nnr_codec.codec.stream.carrier import CarriedKind
from nnr_codec.codec.stream.topology_reader import TopologyReader
from nnr_codec.codec.stream.type_rules import TypeRules
from nnr_codec.model import TopologyStorageFormat, TopologyUnit
from nnr_codec.syntax import iter_units

COUNTERS = {f"layers.{i}.num_batches_tracked": np.int64(i) for i in range(40)}


def described(content: object) -> TopologyUnit:
    text = json.dumps({"nnr_codec.source": content}, separators=(",", ":"))
    return TopologyUnit(storage_format=TopologyStorageFormat.NNR_TPL_UNREC, topology_data=text.encode())


def topology_units(stream: bytes) -> list[TopologyUnit]:
    return [unit for _, unit, _ in iter_units(stream) if isinstance(unit, TopologyUnit)]


def read(unit: TopologyUnit) -> TopologyReader:
    """Read the unit as the third of a stream, at byte 12."""
    reader = TopologyReader(Limits(), 1000)
    reader.add(unit.topology_data, unit.storage_format, (2, 12), 0)
    return reader


def test_names_that_end_alike_share_a_rule() -> None:
    weights = {f"layers.{i}.weight": np.full((2, 2), i, np.float16) for i in range(60)}
    stream = encode({**weights, **COUNTERS}, kind="pytorch")
    [unit] = topology_units(stream)
    assert json.loads(unit.topology_data) == {
        "nnr_codec.source": {
            "kind": "pytorch",
            "type": "F16",
            "suffixes": {"I64()": ["num_batches_tracked"]},
        }
    }
    decoder = Decoder()
    restored = decoder.decode(stream)
    assert decoder.description.kind == "pytorch"
    assert all(restored[name].dtype == np.int64 and restored[name].shape == () for name in COUNTERS)
    assert all(restored[name].dtype == np.float16 for name in weights)
    assert dict(decoder.description.dtypes) == {
        **dict.fromkeys(weights, "F16"),
        **dict.fromkeys(COUNTERS, "I64"),
    }


def test_float32_and_int32_need_no_description() -> None:
    assert topology_units(encode({"w": np.ones((2, 2), np.float32), "n": np.arange(3, dtype=np.int32)})) == []


@pytest.mark.parametrize("seed", range(20))
def test_rules_give_every_name_its_type(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = ["a", "b", "weight", "", "=", "0", "1"]
    names = {
        rng.choice([".", "/"]).join(rng.choice(parts, rng.integers(1, 6)))
        for _ in range(rng.integers(1, 200))
    }
    tensors = {
        str(name): (str(rng.choice(["F32", "I32", "BF16", "I64"])), ((), (2,))[rng.integers(2)])
        for name in names
    }
    reader = read(described(TypeRules.of(tensors).to_json()))
    rules = reader.description.dtypes
    for name, (tag, shape) in tensors.items():
        assert rules.get(name) == (None if tag in ("F32", "I32") else tag)
        assert rules.is_scalar(name) == (shape == ())


def test_rules_of_a_large_model_are_few() -> None:
    tensors = {
        f"model.layers.{layer}.{part}": ("F32" if "norm" in part else "BF16", (8, 8))
        for layer in range(20_000)
        for part in (
            "self_attn.q_proj.weight",
            "mlp.up_proj.weight",
            "input_layernorm.weight",
            "ffn_norm.weight",
        )
    }
    assert len(json.dumps(TypeRules.of(tensors).to_json())) < 200


def test_long_metadata_are_carried_and_come_back() -> None:
    tags = json.dumps({f"some tag number {i}": i for i in range(170_000)})
    metadata = {"format": "pt", "ss_tag_frequency": tags, "last": "é\ud800"}
    decoder = Decoder()
    stream = encode({"w": np.ones((4, 4), np.float32)}, kind="safetensors", metadata=metadata)
    decoder.decode(stream)
    assert decoder.description.metadata == metadata
    assert list(decoder.description.metadata) == list(metadata)
    assert describe(stream).metadata == metadata
    assert len(stream) < len(tags) / 4


def test_a_description_can_be_copied_and_pickled() -> None:
    decoder = Decoder()
    decoder.decode(encode({"a.b": np.ones(4, np.float16), "c": np.int64(2)}, metadata={"k": "v"}))
    for other in (copy.deepcopy(decoder.description), pickle.loads(pickle.dumps(decoder.description))):
        assert (other.metadata, dict(other.dtypes)) == ({"k": "v"}, {"a.b": "F16", "c": "I64"})
        assert other.dtypes.to_json() == decoder.description.dtypes.to_json()
        assert other.dtypes.is_scalar("c")


def test_a_long_description_is_carried() -> None:
    metadata = {f"key {i}": str(i) for i in range(20_000)}
    stream = encode({"w": np.ones((4, 4), np.float32)}, kind="npz", metadata=metadata)
    [unit] = topology_units(stream)
    item = SourceReader(Limits(), len(stream)).add(unit.topology_data, 2, 12, 0)
    assert isinstance(item, CarriedItem)
    assert item.kind == CarriedKind.DESCRIPTION
    decoder = Decoder()
    decoder.decode(stream)
    assert (decoder.description.kind, decoder.description.metadata) == ("npz", metadata)


def test_a_description_beyond_the_default_limits_is_refused() -> None:
    metadata = {f"key {i}": "x" * 4000 for i in range(5000)}
    with pytest.raises(NotEncodable) as caught:
        encode({"w": np.ones((4, 4), np.float32)}, metadata=metadata)
    assert caught.value.path == "metadata"


@pytest.mark.parametrize(
    "content",
    [None, 3, "text", [], {"kind": 3}, {"type": 3}, {"suffixes": {"F16": "w"}}, {"names": {"F16": [3]}}],
)
def test_a_damaged_description_is_malformed(content: object) -> None:
    with pytest.raises(MalformedBitstream) as caught:
        read(described(content))
    assert (caught.value.path, caught.value.bit_offset) == ("nnr_unit[2].topology_data", 96)


def test_limits_reach_a_carried_description() -> None:
    metadata = {f"key {i}": str(i) for i in range(20_000)}
    stream = encode({"w": np.ones((4, 4), np.float32)}, metadata=metadata)
    with pytest.raises(LimitExceeded):
        decode(stream, limits=Limits(max_topology_bytes=600))
