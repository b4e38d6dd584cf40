# SPDX-License-Identifier: Apache-2.0
"""Features that no shared vector has, on streams made for the model."""

from __future__ import annotations

import base64
import hashlib
import struct

import pytest

from spec import model
from spec.model.reconstruction import float32, step_size, uniform_value
from tests.spec_streams import (
    CONSISTENT,
    Bits,
    DataUnit,
    lps,
    mps,
    plain,
    random_choice,
    start,
    stream,
    unit,
    verdict_of,
)


@pytest.mark.parametrize("name", CONSISTENT)
@pytest.mark.parametrize("seed", [1, 2])
def test_levels_come_back(name: str, seed: int) -> None:
    written, levels = stream(CONSISTENT[name], seed, ones=0.3 if "codebook" in name else 0.4)
    for alone in (False, True):
        (tensors,) = model.decode([written], block_rows_alone=alone)
        assert tensors["w"].levels == levels
        assert tensors["w"].shape == CONSISTENT[name].shape


def test_a_moved_entry_point_is_noticed_alone_and_ignored_straight_through() -> None:
    data_unit = CONSISTENT["scan_1"]
    _, payload, levels = data_unit.write(random_choice(5))
    broken = DataUnit(shape=(27, 21), scan=1, entry=[(1, 0, 4), (2, 0, 9), (3, 0, 14)]).header()
    written = start() + mps() + unit(5, broken + payload)
    assert model.decode([written])[0]["w"].levels == levels
    try:
        alone = model.decode([written], block_rows_alone=True)[0]["w"].levels
    except model.StreamError:
        alone = None
    assert alone != levels


def incremental(depths: tuple[int, ...], *, by_digest: bool = False, scan: int = 0, dq: int = 1) -> None:
    """Decode one stream with an update at each depth."""
    shape = (19, 18)
    count = shape[0] * shape[1]
    streams, expected = [], []
    levels: list[int] | None = None
    seen = [False] * count
    last, digest = depths[0] - 1, None
    for number, depth in enumerate(depths):
        base = levels if depth == last + 1 else None if levels is None else [0] * count
        data_unit = DataUnit(
            shape=shape, scan=scan, dq=dq, parents=1, node=(0, 3, depth), parent=(int(number > 0), 0),
            base=base if number else None, seen=seen, digest=digest if by_digest else None,
        )  # fmt: skip
        header, payload, levels = data_unit.write(random_choice(number))
        streams.append(start() + mps(parents=1) + unit(5, header + payload))
        expected.append(levels)
        seen = [was_set or level != 0 for was_set, level in zip(seen, levels, strict=True)]
        last = depth
        digest = hashlib.sha512(payload).digest() if number else hashlib.sha256(payload).digest()
    decoded = model.decode(streams)
    assert [tensors["w"].levels for tensors in decoded] == expected


def test_updates() -> None:
    incremental((1, 2, 3))


def test_updates_in_blocks() -> None:
    incremental((1, 2, 3), scan=1)


def test_a_parent_that_was_not_sent_is_malformed() -> None:
    with pytest.raises(model.Malformed, match="was not sent") as caught:
        incremental((1, 3))
    assert caught.value.path.endswith("put_node_depth")


def test_updates_named_by_digest() -> None:
    incremental((1, 2, 3), by_digest=True)


def test_parts_are_joined() -> None:
    header, payload, levels = DataUnit().write(random_choice(1))
    cut = len(payload) // 2
    parts = unit(5, header + payload[:1], counter=2) + unit(5, header + payload[1:cut], counter=1)
    written = start() + mps() + parts + unit(5, header + payload[cut:], counter=0)
    assert model.decode([written])[0]["w"].levels == levels


def test_skipped_units_long_sizes_and_metadata() -> None:
    header, payload, levels = DataUnit().write(random_choice(1))
    topology = unit(3, b"\1\0" + b"graph\0") + unit(4, b"\0\0" + b"text\0")
    written = (
        start()
        + unit(9, b"anything")
        + mps()
        + topology
        + unit(40, b"")
        + unit(5, header + payload, long=True)
    )
    session = model.Session()
    result = session.decode(written)
    assert result.tensors["w"].levels == levels
    assert [topology.topology_data for topology in result.topology] == [b"graph"]


def test_names_from_the_reference_list() -> None:
    names = Bits().ue(7, 0).align().st("first").st("second").to_bytes()
    header, payload, levels = DataUnit(index=1).write(random_choice(1))
    written = start() + mps(indexed=1) + unit(3, b"\6\0" + names) + unit(5, header + payload)
    assert model.decode([written])[0]["second"].levels == levels
    beyond = DataUnit(index=2).header()
    with pytest.raises(model.Malformed):
        model.decode([start() + mps(indexed=1) + unit(3, b"\6\0" + names) + unit(5, beyond + payload)])
    with pytest.raises(model.Malformed):
        model.decode([start() + mps(indexed=1) + unit(5, beyond + payload)])


def test_a_name_again_replaces_the_tensor() -> None:
    header, payload, levels = DataUnit().write(random_choice(9))
    assert model.decode([plain() + unit(5, header + payload)])[0]["w"].levels == levels


@pytest.mark.parametrize(
    ("count", "entries", "right"), [(0, 0, 1), (1, 0, 1), (2, 1, 1), (3, 2, 1), (2, 2, 0)]
)
def test_a_performance_map_holds_one_entry_less_than_its_count(count: int, entries: int, right: bool) -> None:
    bits = Bits().u(2, 1).u(3, 0).u(3, 1).u(1, 0).u(7, 0).u(3, 2).u(13, 0).u(8, count)
    for _ in range(entries):
        bits.raw(bytes(12)).u(8, 2).ue(7, 3).raw(bytes(8))
    written = start() + unit(1, bits.align().to_bytes())
    assert verdict_of(written) == ("decoded" if right else "malformed")


def test_the_latest_parameter_set_that_brings_quantisation_holds() -> None:
    header, payload, _ = DataUnit(density=3).write(random_choice(1), qp=5)
    tensor = model.decode([start() + mps() + lps(3, -20) + unit(5, header + payload)])[0]["w"]
    assert (tensor.qp, tensor.qp_density) == (-15, 3)
    header, payload, _ = DataUnit().write(random_choice(1), qp=5)
    tensor = model.decode([start() + mps() + lps(None) + unit(5, header + payload)])[0]["w"]
    assert (tensor.qp, tensor.qp_density) == (-3, 2)
    tensor = model.decode([start() + mps() + lps(2, -20) + lps(None) + unit(5, header + payload)])[0]["w"]
    assert (tensor.qp, tensor.qp_density) == (-15, 2)


def test_raw_floats_keep_their_bits() -> None:
    pattern = bytes.fromhex("010080ff 0000807f 00000080 0100a07f")
    written = start() + unit(5, DataUnit(shape=(4,), payload_type=2).header() + pattern)
    tensor = model.decode([written])[0]["w"]
    assert tensor.value_bytes == pattern
    assert tensor.levels is None


def test_dimensions_from_outside() -> None:
    header = Bits().u(5, 2).u(3, 0).st("w").u(1, 0).align().to_bytes()
    written = start() + unit(5, header + struct.pack("<6f", *range(6)))
    with pytest.raises(model.Malformed):
        model.decode([written])
    assert model.decode([written], dimensions={"w": (2, 3)})[0]["w"].values == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


# A stream of the peer encoder: a block of low-rank factors G (9 x 9) and H (9 x 4) in blocks of 8.
PEER_FACTORS = (
    "AAQCAQAIBoEAQACAAAYOAAAAAFUWHYGAd19HAHdfSABiANHB5RRSJhAqGnsNj+fa66EAB0xAT78iBW8eBOWBnNDAglioKmZ8KAA/PuMk"
    "ze7MdKtg0/KjTJbsC42gAOISwtnR63P/wA=="
)


def test_entry_points_of_the_second_factor_count_from_its_own_start() -> None:
    written = base64.b64decode(PEER_FACTORS)
    (straight,) = model.decode([written])
    (alone,) = model.decode([written], block_rows_alone=True)
    assert straight["w_H"].levels == alone["w_H"].levels
    assert straight["w_G"].levels == alone["w_G"].levels
    assert hashlib.sha256(straight["w_H"].value_bytes).hexdigest().startswith("8a50475d326b92c2")


# Section 4


@pytest.mark.parametrize(
    ("qp", "density", "expected"),
    [(0, 2, 1.0), (1, 2, 1.25), (-1, 2, 0.875), (-38, 2, 1.5 * 2.0**-10), (3, 0, 8.0), (-1, 3, 15 / 16)],
)
def test_step_size(qp: int, density: int, expected: float) -> None:
    assert step_size(qp, density) == expected


def test_binary32_rounds_once_and_overflows_to_infinity() -> None:
    assert float32(16777217.0) == 16777216.0
    assert uniform_value(16777219, 1.0) == 16777220.0
    assert uniform_value(-5, step_size(4000, 0)) == float("-inf")
    assert uniform_value(3, 2.0**127) == float("inf")


def test_product_of_factors_is_rounded_once() -> None:
    tiny = 2.0**-60
    assert model.factors_product([1.0, 1.0], [1.0 + 2.0**-23, tiny], 2) == [1.0 + 2.0**-23]
    assert model.factors_product([1.0, 1.0, 1.0], [1.0, 2.0**-24, tiny], 3) == [1.0 + 2.0**-23]


# Section 7: one stream per condition
