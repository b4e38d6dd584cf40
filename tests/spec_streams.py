# SPDX-License-Identifier: Apache-2.0
"""Streams made for the model, out of its own grammar.

The streams come from the model's own grammar: ``BinWriter`` stands in for the arithmetic decoder, answers
every question with a bin of its choice and codes that bin. So these tests show that the reading is consistent
and strict, not that it is the right one; the shared vectors and the native decoder show that.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
from spec import model
from spec.model.arithmetic import Context
from spec.model.tables import RANGE_LPS
from spec.model.tensor_data import TensorCoding, TensorData


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
        tensor = Watched(writer, self.coding(), states)
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


def lps(density: int | None, qp: int = 0) -> bytes:
    bits = Bits().u(8, 0).u(4, 0).u(3, density is not None).u(1, 0)
    if density is not None:
        bits.u(3, density).u(13, qp)
    return unit(2, bits.align().to_bytes())


def plain() -> bytes:
    return stream(DataUnit())[0]


def verdict_of(written: bytes) -> str:
    try:
        model.decode([written])
    except model.StreamError as error:
        return error.verdict
    return "decoded"
