# SPDX-License-Identifier: Apache-2.0
"""The model against streams made for it: features no shared vector has, and one per way to be turned down.

The streams come from the model's own grammar: ``BinWriter`` stands in for the arithmetic decoder, answers
every question with a bin of its choice and codes that bin. So these tests show that the reading is consistent
and strict, not that it is the right one; the shared vectors and the native decoder show that.
"""

from __future__ import annotations

import base64
import hashlib
import random
import struct
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
if str(REPOSITORY) not in sys.path:
    sys.path.insert(0, str(REPOSITORY))

from spec import model  # noqa: E402
from spec.model.arithmetic import Context  # noqa: E402
from spec.model.reconstruction import float32, step_size, uniform_value  # noqa: E402
from spec.model.tables import RANGE_LPS  # noqa: E402
from spec.model.tensor_data import TensorCoding, TensorData  # noqa: E402


class Bits:
    """Writes descriptors."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, count: int, value: int) -> Bits:
        self.text += format(value & ((1 << count) - 1), f"0{count}b") if count else ""
        return self

    def ue(self, order: int, value: int) -> Bits:
        while value >= 1 << order:
            value -= 1 << order
            order += 1
            self.text += "0"
        self.text += "1"
        return self.u(order, value)

    def ie(self, order: int, value: int) -> Bits:
        return self.ue(order, 2 * value - 1 if value > 0 else -2 * value)

    def raw(self, content: bytes) -> Bits:
        for byte in content:
            self.u(8, byte)
        return self

    def st(self, text: str) -> Bits:
        return self.raw(text.encode() + b"\0")

    def align(self) -> Bits:
        self.text += "1"
        self.text += "0" * (-len(self.text) % 8)
        return self

    def to_bytes(self) -> bytes:
        assert len(self.text) % 8 == 0
        return bytes(int(self.text[i : i + 8], 2) for i in range(0, len(self.text), 8))


Choice = Callable[[str], int]


class BinWriter:
    """Has the arithmetic decoder's face, but chooses the bins and codes them, with an unbounded ``low``."""

    def __init__(self, choose: Choice) -> None:
        self.choose = choose
        self.element = ""
        self.path = ""
        self.low, self.range, self.shifts = 0, 510, 0
        self.marks: list[tuple[int, int]] = []

    @property
    def bit_position(self) -> int:
        return 9 + self.shifts

    def malformed(self, message: str, clause: str) -> model.Malformed:
        return model.Malformed(message, path="", bit_offset=0, clause=clause)

    def _double(self) -> None:
        self.low *= 2
        self.shifts += 1

    def regular(self, context: Context) -> int:
        both = context.s1 + 16 * context.s0
        less_probable = RANGE_LPS[(self.range >> 5) & 7][abs(both >> 7)]
        bin_value = self.choose(self.element)
        self.range -= less_probable
        if bin_value != (1 if both >= 0 else 0):
            self.low += self.range
            self.range = less_probable
        while self.range < 256:
            self.range *= 2
            self._double()
        context.update(bin_value)
        return bin_value

    def bypass(self) -> int:
        bin_value = self.choose(self.element)
        self._double()
        self.low += self.range * bin_value
        return bin_value

    def uae(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = 2 * value + self.bypass()
        return value

    def write(self, count: int, value: int) -> None:
        for shift in range(count - 1, -1, -1):
            self._double()
            self.low += self.range * ((value >> shift) & 1)

    def narrow(self) -> None:
        self.range = 256
        self.marks.append((self.shifts, self.low))

    def codeword(self, *, last_bin: int = 1, stop_bit: int = 1) -> bytes:
        self.range -= 2
        self.low += self.range if last_bin else 0
        value = self.low | 1 if stop_bit else self.low & ~1
        n_bits = 9 + self.shifts
        self.value = value
        padding = -n_bits % 8
        return (value << padding).to_bytes((n_bits + padding) // 8, "big")

    def entry(self, index: int) -> tuple[int, int]:
        """Bit position and offset of mark ``index``, once the codeword is complete."""
        shifts, low = self.marks[index]
        return shifts, (self.value >> (self.shifts - shifts)) - low


def random_choice(seed: int, ones: float = 0.4) -> Choice:
    generator = random.Random(seed)
    likely = {"context_initialisation_flag": 0.1, "row_skip_flag": 0.2, "abs_level_exp_golomb_prefix": 0.4}
    return lambda element: int(generator.random() < likely.get(element, ones))


def unit(kind: int, body: bytes, *, counter: int | None = None, long: bool = False) -> bytes:
    content = Bits().u(6, kind).u(1, 1).u(1, counter is not None)
    if counter is not None:
        content.u(8, counter)
    content.raw(body)
    inside = content.to_bytes()
    if long:
        return Bits().u(1, 1).u(31, len(inside) + 4).to_bytes() + inside
    return Bits().u(16, len(inside) + 2).to_bytes() + inside


def start(profile: int = 1) -> bytes:
    return unit(0, bytes([profile]))


def mps(
    *, profile: int = 1, indexed: int = 0, parents: int = 0, density: int = 2, qp: int = -8, methods: int = 1
) -> bytes:
    bits = Bits().u(1, 0).u(4, 0).u(3, methods).u(1, indexed)
    if profile == 1:
        bits.u(3, 0).u(1, parents).u(1, 0).u(2, 0)
    else:
        bits.u(7, 0)
    if methods & 3:
        bits.u(3, density).u(13, qp)
    return unit(1, bits.align().to_bytes())


@dataclass(frozen=True)
class DataUnit:
    """The fields of a data unit of one tensor, or of a block."""

    shape: tuple[int, ...] = (3, 4)
    names: tuple[str, ...] = ("w",)
    payload_type: int = 1
    profile: int = 1
    dq: int = 0
    unary: int = 10
    scan: int = 0
    codebook: tuple[int, ...] = ()
    zero: int = 0
    node: tuple[int, int, int] | None = None
    parent: tuple[int, int] | None = (
        None  # temporal flag, device; None where parents are signalled: no parent
    )
    digest: bytes | None = None
    parents: int = 0
    index: int | None = None
    data_format: int | None = None
    density: int = 2
    types: int = 0
    shift: int = 0
    base: list[int] | None = None
    seen: list[bool] | None = None
    entry: list[tuple[int, int, int]] = field(default_factory=list)

    def header(self) -> bytes:
        several = len(self.names) > 1
        bits = Bits().u(5, self.payload_type).u(1, several).u(1, self.data_format is not None).u(1, 1)
        if several:
            bits.ue(7, len(self.names) - 2).align()
            for name in self.names:
                bits.st(name)
        elif self.index is not None:
            bits.ue(7, self.index)
        else:
            bits.st(self.names[0])
        if self.profile == 1:
            bits.u(1, self.node is not None)
            if self.node is not None:
                bits.ue(1, self.node[0]).ue(5, self.node[1]).ue(4, self.node[2])
            if self.parents:
                bits.u(1, self.parent is not None)
                if self.parent is not None:
                    bits.u(2, 0 if self.digest is None else 1 if len(self.digest) == 32 else 2)
                    bits.u(1, self.parent[0])
                    if self.digest is None:
                        bits.ue(1, self.parent[1])
                    else:
                        bits.raw(self.digest)
        if self.payload_type in (1, 3):
            bits.u(1, bool(self.codebook))
            if self.codebook:
                values, zero = self.codebook, self.zero
                bits.u(4, 0).ue(2, len(values)).ie(2, zero - len(values) // 2).ie(7, values[zero])
                for j in range(zero - 1, -1, -1):
                    bits.ue(0, values[j + 1] - values[j] - 1)
                for j in range(zero + 1, len(values)):
                    bits.ue(0, values[j] - values[j - 1] - 1)
        if self.payload_type != 2:
            bits.u(1, self.dq)
        if self.data_format is not None:
            bits.u(7, self.data_format)
        bits.u(1, 1).u(1, 1).u(4, self.types).ue(1, len(self.shape))
        for size in self.shape:
            bits.ue(7, size)
        bits.u(8, self.unary - 1)
        if len(self.shape) > 1:
            if self.profile == 1:
                bits.ue(1, self.shift)
            bits.u(4, self.scan)
            before = step = 0
            for j, (offset, state, place) in enumerate(self.entry):
                bits.u(8, offset)
                if self.dq:
                    bits.u(3, state)
                if j == 0:
                    bits.ue(11, place)
                else:
                    bits.ie(7, place - before - step)
                step, before = place - before, place
        return bits.align().to_bytes()

    def coding(self) -> TensorCoding:
        width = 1
        for size in self.shape[1:]:
            width *= size
        size = len(self.codebook) if self.profile == 1 else 0
        return TensorCoding(
            rows=self.shape[0] if self.shape else 1,
            width=width,
            profile=self.profile,
            unary_length=self.unary,
            dependent=bool(self.dq) and self.payload_type != 0,
            scan_order=self.scan,
            codebook_size=size,
            zero_offset=self.zero if size else 0,
            parent_node_id_present=self.parent is not None,
            base=self.base,
            seen=self.seen,
            entry_points=None,
        )

    def write(self, choose: Choice, qp: int = 0) -> tuple[bytes, bytes, list[int]]:
        """Header, payload and levels."""
        writer = BinWriter(choose)
        if self.payload_type in (1, 3):
            writer.write(6 + self.density, qp)
        states: list[int] = []
        tensor = Watched(writer, self.coding(), states)  # type: ignore[arg-type]
        levels = tensor.decode()
        payload = writer.codeword()
        filled = self
        if len(writer.marks) > 1:
            origin = writer.entry(0)[0]
            points = [writer.entry(j) for j in range(1, len(writer.marks))]
            entry = [
                (offset, state, place - origin) for (place, offset), state in zip(points, states, strict=True)
            ]
            filled = replace(self, entry=entry)
        return filled.header(), payload, levels


class Watched(TensorData):
    """Notes the state of dependent quantisation at each block row's start."""

    def __init__(self, engine: Any, coding: TensorCoding, states: list[int]) -> None:
        super().__init__(engine, coding)
        self.states = states

    def _start_block_row(self) -> None:
        self.states.append(self.state)
        super()._start_block_row()


def stream(
    data_unit: DataUnit, seed: int = 1, ones: float = 0.4, **mps_options: Any
) -> tuple[bytes, list[int]]:
    header, payload, levels = data_unit.write(random_choice(seed, ones))
    first = start(data_unit.profile) + mps(
        profile=data_unit.profile, parents=data_unit.parents, **mps_options
    )
    return first + unit(5, header + payload), levels


CONSISTENT = {
    "profile_0": DataUnit(profile=0),
    "profile_0_codebook": DataUnit(profile=0, codebook=tuple(range(-3000, 3000)), zero=3000),
    "integer": DataUnit(payload_type=0),
    "integer_dq": DataUnit(payload_type=0, dq=1),
    "dq": DataUnit(shape=(9, 5, 3), dq=1),
    "unary_1": DataUnit(unary=1),
    "unary_256": DataUnit(unary=256),
    "codebook": DataUnit(shape=(9, 9), codebook=(-9, -4, -3, 0, 1, 2, 8), zero=3),
    "codebook_positive": DataUnit(shape=(9, 9), codebook=(0, 1, 2, 8, 9, 10), zero=0),
    "codebook_negative": DataUnit(shape=(9, 9), codebook=(-4, -3, -1, 0), zero=3),
    "codebook_pair": DataUnit(shape=(9, 9), codebook=(-1, 0), zero=1),
    "codebook_single": DataUnit(shape=(9, 9), codebook=(7,), zero=0),
    "scan_1": DataUnit(shape=(27, 21), scan=1),
    "scan_1_dq": DataUnit(shape=(27, 21), scan=1, dq=1),
    "scan_2_dq": DataUnit(shape=(35, 40), scan=2, dq=1),
    "scan_4": DataUnit(shape=(130, 70), scan=4),
    "scalar": DataUnit(shape=()),
    "vector": DataUnit(shape=(40,), dq=1),
    "no_rows": DataUnit(shape=(0, 5)),
    "no_columns": DataUnit(shape=(5, 0)),
    "shifted": DataUnit(shift=3),
    "data_format": DataUnit(data_format=8),
    "node": DataUnit(node=(0, 5, 1)),
}


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
    """Updates at the given depths."""
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
        seen = [old or level != 0 for old, level in zip(seen, levels, strict=True)]
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


def lps(density: int | None, qp: int = 0) -> bytes:
    bits = Bits().u(8, 0).u(4, 0).u(3, density is not None).u(1, 0)
    if density is not None:
        bits.u(3, density).u(13, qp)
    return unit(2, bits.align().to_bytes())


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


def plain() -> bytes:
    return stream(DataUnit())[0]


def data_unit_with(payload_of: Callable[[BinWriter], bytes]) -> bytes:
    writer = BinWriter(random_choice(1))
    writer.write(8, 0)
    TensorData(writer, DataUnit().coding()).decode()  # type: ignore[arg-type]
    return start() + mps() + unit(5, DataUnit().header() + payload_of(writer))


def huge_level() -> bytes:
    data_unit = DataUnit(shape=(1,), unary=1)
    header = data_unit.header()
    writer = BinWriter(lambda element: int("initialisation" not in element and element != "sign_flag"))
    writer.write(8, 0)
    with pytest.raises(model.Malformed):
        TensorData(writer, data_unit.coding()).decode()  # type: ignore[arg-type]
    return start() + mps() + unit(5, header + writer.codeword())


def padded(writer: BinWriter) -> bytes:
    payload = writer.codeword()
    assert (9 + writer.shifts) % 8, "choose another seed: the codeword fills its last byte"
    return payload[:-1] + bytes([payload[-1] | 1])


TWICE = DataUnit(payload_type=3, names=("a", "a"), types=8)
header_0 = DataUnit().header()
payload_0 = DataUnit().write(random_choice(1))[1]

TURNED_DOWN: dict[str, tuple[Callable[[], bytes], type[model.StreamError], str]] = {
    "empty": (lambda: b"", model.Malformed, "2.1"),
    "half_a_size": (lambda: start() + b"\0", model.Truncated, "1"),
    "unit_cut_off": (lambda: plain()[:-1], model.Truncated, "2.2"),
    "no_start_unit": (lambda: mps(), model.Malformed, "2.1"),
    "second_start_unit": (lambda: start() + start(), model.Malformed, "2.1"),
    "second_mps": (lambda: start() + mps() + mps(), model.Malformed, "2.1"),
    "mps_behind_data": (
        lambda: start() + unit(5, DataUnit(shape=(1,), payload_type=2).header() + bytes(4)) + mps(),
        model.Malformed,
        "2.1",
    ),
    "size_of_nothing": (lambda: start() + b"\0\2\0\0", model.Malformed, "2.2"),
    "profile_2": (lambda: start(2), model.Unsupported, "2.3"),
    "start_unit_too_long": (lambda: unit(0, b"\1\0"), model.Malformed, "2.3"),
    "start_unit_in_parts": (lambda: unit(0, b"\1", counter=1), model.Malformed, "2.4"),
    "part_missing": (
        lambda: start() + mps() + unit(5, header_0 + payload_0, counter=1),
        model.Truncated,
        "2.4",
    ),
    "part_counter_jumps": (
        lambda: start() + mps() + unit(5, header_0, counter=2) + unit(5, header_0 + payload_0, counter=0),
        model.Malformed,
        "2.4",
    ),
    "unit_between_parts": (lambda: start() + unit(5, header_0, counter=1) + mps(), model.Malformed, "2.1"),
    "reserved_bit_mps": (lambda: start() + unit(1, b"\1\1\x40\0\x80"), model.Malformed, "2.5"),
    "alignment_zero": (lambda: start() + unit(1, b"\1\0\x40\0\0"), model.Malformed, "1.3"),
    "alignment_tail": (lambda: start() + unit(1, b"\1\0\x40\0\x81"), model.Malformed, "1.3"),
    "mps_too_long": (lambda: start() + unit(1, b"\1\0\x40\0\x80\0"), model.Malformed, "2.5"),
    "mps_too_short": (lambda: start() + unit(1, b"\1\0\x40"), model.Truncated, "1"),
    "reserved_bit_lps": (lambda: start() + unit(2, b"\1\0\x80"), model.Malformed, "2.6"),
    "aggregate": (lambda: start() + unit(6, b"\0"), model.Unsupported, "2.10"),
    "payload_type_4": (lambda: start() + unit(5, b"\x20w\0"), model.Malformed, "3.2"),
    "name_not_utf8": (lambda: start() + unit(5, b"\x10\xff\0"), model.Malformed, "1.3"),
    "name_endless": (lambda: start() + unit(5, b"\x10ww"), model.Truncated, "1.3"),
    "data_format_10": (
        lambda: start() + mps() + unit(5, DataUnit(data_format=10).header()),
        model.Malformed,
        "3.2",
    ),
    "scan_order_5": (lambda: start() + mps() + unit(5, DataUnit(scan=5).header()), model.Malformed, "3.2"),
    "block_names": (
        lambda: start() + mps() + unit(5, DataUnit(payload_type=3, names=("a", "b")).header()),
        model.Malformed,
        "3.4",
    ),
    "mapping": (
        lambda: start() + mps() + unit(5, DataUnit(names=("a", "b")).header()),
        model.Unsupported,
        "3.2",
    ),
    "name_twice": (
        lambda: (
            start() + mps() + unit(5, DataUnit(payload_type=3, names=("a", "a"), types=8).header() + bytes(9))
        ),
        model.Malformed,
        "3.2.1",
    ),
    "codebook_without_zero": (
        lambda: (
            start()
            + mps()
            + unit(
                5, b"\x09w\0" + Bits().u(1, 0).u(1, 1).u(4, 0).ue(2, 0).ie(2, 0).u(12, 0).align().to_bytes()
            )
        ),
        model.Malformed,
        "3.2.3",
    ),
    "too_large": (
        lambda: start() + mps() + unit(5, DataUnit(shape=(1 << 20, 1 << 11)).header()),
        model.Limit,
        "7.3",
    ),
    "no_density": (lambda: start() + mps(methods=0) + unit(5, header_0 + payload_0), model.Malformed, "4.1"),
    "codeword_empty": (lambda: start() + mps() + unit(5, header_0), model.Truncated, "5.1"),
    "codeword_cut_off": (lambda: start() + mps() + unit(5, header_0 + payload_0[:3]), model.Truncated, "5.1"),
    "codeword_outside": (lambda: start() + mps() + unit(5, header_0 + b"\xff\xff"), model.Malformed, "5.1"),
    "terminating_bin_0": (
        lambda: data_unit_with(lambda writer: writer.codeword(last_bin=0)),
        model.Malformed,
        "5.1",
    ),
    "stop_bit_0": (
        lambda: data_unit_with(lambda writer: writer.codeword(stop_bit=0)),
        model.Malformed,
        "5.1",
    ),
    "padding_1": (lambda: data_unit_with(padded), model.Malformed, "5.1"),
    "bytes_behind_codeword": (
        lambda: data_unit_with(lambda writer: writer.codeword() + b"\0"),
        model.Malformed,
        "5.1",
    ),
    "level_beyond_int32": (huge_level, model.Malformed, "5.3"),
    "raw_too_short": (
        lambda: start() + unit(5, DataUnit(payload_type=2).header() + bytes(47)),
        model.Malformed,
        "3.5",
    ),
    "raw_too_long": (
        lambda: start() + unit(5, DataUnit(payload_type=2).header() + bytes(49)),
        model.Malformed,
        "3.5",
    ),
}


@pytest.mark.parametrize("name", TURNED_DOWN)
def test_turned_down(name: str) -> None:
    make, verdict, clause = TURNED_DOWN[name]
    written = make()
    with pytest.raises(verdict) as caught:
        model.decode([written])
    assert type(caught.value) is verdict
    assert caught.value.clause == clause
    assert caught.value.path.startswith("nnr_unit[")
    assert 0 <= caught.value.bit_offset <= 8 * len(written)


def test_any_cut_is_turned_down_but_between_units() -> None:
    written = plain()
    ends = {offset + size for _, offset, size in model.Session().decode(written).units}
    for size in range(1, len(written)):
        if size in ends:
            assert isinstance(model.decode([written[:size]]), list)
        else:
            with pytest.raises(model.Truncated):
                model.decode([written[:size]])


def verdict_of(written: bytes) -> str:
    try:
        model.decode([written])
    except model.StreamError as error:
        return error.verdict
    return "decoded"


def test_any_flipped_bit_gives_tensors_or_a_verdict() -> None:
    written = plain()
    outcomes: Counter[str] = Counter()
    for bit in range(8 * len(written)):
        damaged = bytearray(written)
        damaged[bit >> 3] ^= 0x80 >> (bit & 7)
        outcomes[verdict_of(bytes(damaged))] += 1
    assert set(outcomes) <= {"decoded", "truncated", "malformed", "unsupported", "limit"}
    assert outcomes["malformed"] > outcomes["decoded"]
