# SPDX-License-Identifier: Apache-2.0
"""The wire format of protocol buffers, against messages that the real library serialises."""

from __future__ import annotations

import io
import random
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import open_model
from nnr_codec.frameworks.onnx import wire
from nnr_codec.frameworks.onnx.names import assign_names
from nnr_codec.frameworks.onnx.parse import read_tree
from nnr_codec.frameworks.onnx.wire import Field, Run, WireReader
from tests.onnx_models import CASES, save


def reader_of(content: bytes) -> WireReader:
    return WireReader(io.BytesIO(content), "m.onnx")


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50))
def test_varints_come_back(values: list[int]) -> None:
    codes = np.frombuffer(b"".join(wire.varint(value) for value in values), np.uint8)
    assert wire.decode_varints(codes).tolist() == values


@pytest.mark.parametrize("codes", [[0x80], [0x01, 0xFF], [0x80] * 10 + [0x01]])
def test_varints_without_end_are_refused(codes: list[int]) -> None:
    with pytest.raises(ValueError, match="number"):
        wire.decode_varints(np.array(codes, np.uint8))


@pytest.mark.parametrize("n", [0, 1, 33, 34, 35, 100, 200_000])
def test_long_lists_of_scalars_are_runs_that_miss_nothing(n: int) -> None:
    attribute = onnx.AttributeProto(name="a", type=onnx.AttributeProto.INTS)
    attribute.floats.extend([0.5] * n)
    attribute.ints.extend(random.Random(n).choices([0, 1, -1, 300, 2**40, 64], k=n))
    attribute.strings.append(b"end")
    content = attribute.SerializeToString()
    reader = reader_of(content)
    position = 0
    counts = {7: 0, 8: 0, 9: 0}
    items = list(reader.fields(0, len(content)))
    for item in items:
        assert item.start == position
        position = item.stop
        if item.number == 7:
            counts[7] += (item.stop - item.start) // 5
        elif item.number in counts:
            codes = np.frombuffer(content[item.start : item.stop], np.uint8)
            counts[item.number] += len(wire.decode_varints(codes)) // 2 if item.number == 8 else 1
    assert position == len(content)
    assert counts == {7: n, 8: n, 9: 1}
    assert len(items) < 2 * n + 10 if n < 40 else any(isinstance(item, Run) for item in items)
    assert len(items) < 500


def test_a_run_ends_where_the_scalars_do() -> None:
    """A value whose byte equals the tag's does not shift the run."""
    content = wire.field(8, 0x40) * 100 + wire.field(8, 300) + wire.field(3, 64) + wire.field(8, 5)
    items = list(reader_of(content).fields(0, len(content)))
    assert items[-2] == Field(3, wire.VARINT, len(content) - 4, len(content) - 3, len(content) - 2, 64)
    assert items[-3].stop == items[-2].start


def test_hostile_messages_take_time_proportional_to_their_size() -> None:
    """Runs just long enough to be looked at, and equal names."""
    runs = (wire.field(8, 5) * 34 + wire.field(3, 1)) * 5_000
    tensor = wire.field(1, 30) + wire.field(2, 1) + wire.field(8, b"w") + wire.field(9, bytes(120))
    graph = wire.field(7, wire.field(1, wire.field(5, wire.field(6, wire.field(5, tensor) * 5_000))))
    started = time.process_time()
    assert sum(1 for _ in reader_of(runs).fields(0, len(runs))) > 5_000
    tree = read_tree(reader_of(graph))
    assert len(assign_names(tree)) == 5_000
    # A quadratic walk would take minutes.
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x0b", "wire type 3"),
        (b"\x0e", "wire type 6"),
        (b"\x02\x00", "field number"),
        (b"\x0a\x05abc", "cut short by 2 bytes"),
        (b"\x0d\x00", "cut short by 3 bytes"),
        (b"\x08\x80", "cut short"),
        (b"\x08" + b"\xff" * 11, "64 bits"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "cut short"),
    ],
)
def test_damaged_fields_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(NotEncodable, match=reason) as caught:
        list(reader_of(content).fields(0, len(content)))
    assert caught.value.path == "m.onnx"


def test_a_field_beyond_its_message_is_refused() -> None:
    content = b"\x0a\x05abcdefgh"
    with pytest.raises(NotEncodable, match="reaches beyond its message"):
        list(reader_of(content).fields(0, 5))


def test_graphs_nested_without_end_are_refused(tmp_path: Path) -> None:
    graph = b""
    for _ in range(200):
        graph = wire.field(1, wire.field(5, wire.field(6, graph)))
    (tmp_path / "m.onnx").write_bytes(wire.field(7, graph))
    with pytest.raises(NotEncodable, match="nested too deeply"):
        open_model(tmp_path / "m.onnx")


@pytest.mark.parametrize("name", CASES)
def test_damage_gives_errors_that_name_the_file(tmp_path: Path, name: str) -> None:
    """A few hundred flipped, cut and repeated bytes a model; a longer run is in tools/fuzz."""
    save(CASES[name](), tmp_path / "m.onnx")
    content = (tmp_path / "m.onnx").read_bytes()
    rng = random.Random(name)
    path = tmp_path / "damaged.onnx"
    outcomes = {"read": 0, "refused": 0}
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(rng.choice((1, 1, 3))):
            # Structure is at the ends, elements in between.
            place = rng.choice((rng.randrange(len(content)), rng.randrange(min(200, len(content)))))
            if rng.random() < 0.7:
                damaged[place % len(damaged)] = rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            elif rng.random() < 0.5:
                del damaged[place : place + rng.choice((1, 9))]
            else:
                damaged[place:place] = damaged[place : place + 5]
        path.write_bytes(damaged)
        try:
            with open_model(path) as source:
                for tensor in source:
                    assert len(source[tensor]) >= 0
                assert source.topology()
            outcomes["read"] += 1
        except NotEncodable as error:
            assert str(path) in (error.path or "")
            outcomes["refused"] += 1
    assert all(outcomes.values())
