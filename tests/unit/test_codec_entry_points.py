# SPDX-License-Identifier: Apache-2.0
"""Threads that share the block rows of a tensor return the values and errors of sequential decoding."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnr_codec import BitstreamError, Limits, decode, encode
from nnr_codec._native import UnitBatch, Workers
from nnr_codec.codec.decode.decode_task import DecodeTask
from nnr_codec.codec.stream.stream_reader import StreamReader
from nnr_codec.model import DataUnit, EntryPoint
from nnr_codec.syntax import build_unit, iter_units

RNG = np.random.default_rng(11)


def outcome(stream: bytes, threads: int) -> Any:
    """Names with levels and values, or the error with its place."""
    try:
        levels = decode(stream, dequantize=False, threads=threads)
        values = decode(stream, threads=threads)
    except BitstreamError as error:
        return type(error), str(error), error.path, error.bit_offset
    # A damaged unit may hold something else.
    return [
        (name, getattr(tensor, "levels", tensor).tobytes(), values[name].tobytes())
        for name, tensor in levels.items()
    ]


def with_entry_points(
    stream: bytes, points: tuple[EntryPoint, ...] | None = None, payload: bytes = b""
) -> bytes:
    """Replace the entry points, or the payload, of the single data unit of a stream."""
    units = []
    for span, unit, state in iter_units(stream):
        if isinstance(unit, DataUnit):
            header = unit.header if points is None else replace(unit.header, entry_points=points)
            units.append(build_unit(DataUnit(header, payload or unit.payload), state))
        else:
            units.append(stream[span.byte_offset : span.byte_offset + span.size_bytes])
    return b"".join(units)


def in_rows(stream: bytes) -> tuple[int, int]:
    """Numbers of payloads that threads shared and of those that were decoded again."""
    reader = StreamReader(memoryview(stream), Limits(), {})
    [batch] = [step for step in reader if isinstance(step, UnitBatch)]
    task = DecodeTask(batch, True, Workers(1))
    task.result()
    return task.block_row_counts


@pytest.mark.parametrize("scan_order", [1, 2, 3, 4])
@pytest.mark.parametrize("dependent", [False, True])
@pytest.mark.parametrize("shape", [(70, 33), (9, 130), (64, 8, 3, 3), (8, 8)])
def test_parallel_rows_equal_sequential_rows(
    scan_order: int, dependent: bool, shape: tuple[int, ...]
) -> None:
    weights = RNG.laplace(0, 0.2, shape).astype(np.float32)
    weights[1:6] = 0  # rows to skip
    stream = encode({"w": weights}, qp=-12, effort="fast", scan_order=scan_order, dependent=dependent)
    expected = outcome(stream, 1)
    assert isinstance(expected, list)
    assert outcome(stream, 3) == expected
    side = 4 << scan_order
    assert in_rows(stream) == (int(shape[0] > side), 0)


def test_a_codebook_may_have_entry_points_too() -> None:
    weights = RNG.choice([0.0, 0.25, -0.5, 1.0], (40, 20)).astype(np.float32)
    stream = encode({"w": weights}, qp=-8, dependent=False, codebook=True, scan_order=1)
    assert outcome(stream, 2) == outcome(stream, 1)
    assert in_rows(stream) == (1, 0)


@pytest.mark.parametrize("dependent", [False, True])
def test_damage_has_the_same_outcome_with_threads(dependent: bool) -> None:
    # Damage to entry points counts too, although sequential decoding ignores them.
    weights = RNG.laplace(0, 0.2, (20, 11)).astype(np.float32)
    stream = encode({"w": weights}, qp=-12, effort="fast", scan_order=1, dependent=dependent)
    rejected = 0
    for bit in range(8 * len(stream)):
        damaged = bytearray(stream)
        damaged[bit >> 3] ^= 0x80 >> (bit & 7)
        expected = outcome(bytes(damaged), 1)
        assert outcome(bytes(damaged), 2) == expected, bit
        rejected += not isinstance(expected, list)
    assert 0 < rejected < 8 * len(stream)


def test_wrong_entry_points_change_nothing() -> None:
    stream = encode(
        {"w": RNG.laplace(0, 0.2, (40, 9)).astype(np.float32)}, qp=-12, effort="fast", scan_order=1
    )
    header = next(unit.header for _, unit, _ in iter_units(stream) if isinstance(unit, DataUnit))
    first, *others = header.entry_points
    for wrong in (
        replace(first, bit_offset=first.bit_offset + 1),
        replace(first, cabac_offset_value=first.cabac_offset_value ^ 1),
        replace(first, dq_state=first.dq_state ^ 1),
    ):
        damaged = with_entry_points(stream, (wrong, *others))
        assert outcome(damaged, 2) == outcome(stream, 1)
        assert in_rows(damaged) == (1, 1)
    for far in (0, 10**6, 2**30):
        damaged = with_entry_points(stream, (replace(first, bit_offset=far), *others))
        assert outcome(damaged, 2) == outcome(stream, 1)
        assert in_rows(damaged) == (0, 0)


def test_sums_of_entry_points_may_be_beyond_64_bits() -> None:
    # Positions are sums of sums of 32-bit numbers, and a tall tensor has very many.
    rows = 744_008
    stream = encode({"w": np.zeros((rows, 2), np.float32)}, qp=-12, effort="fast", scan_order=1)
    changes = 2**31 - 200
    points = tuple(EntryPoint(changes * (i + 1) * (i + 2) // 2, 0, 0) for i in range(rows // 8 - 1))
    assert points[-1].bit_offset >= 2**63
    damaged = with_entry_points(stream, points)
    assert outcome(damaged, 2) == outcome(damaged, 1) == outcome(stream, 1)


def test_a_codeword_that_no_encoder_starts_is_refused_by_threads_too() -> None:
    stream = encode(
        {"w": RNG.laplace(0, 0.2, (40, 9)).astype(np.float32)},
        qp=-12, effort="fast", scan_order=1, dependent=False,
    )  # fmt: skip
    payload = next(bytes(unit.payload) for _, unit, _ in iter_units(stream) if isinstance(unit, DataUnit))
    bits = int.from_bytes(payload, "big")
    behind = 8 * len(payload) - 17
    # Offset 510 with 8 bits of qp_value behind it, as a remainder of which the rest goes on just so.
    window = bits >> behind
    wrong = 510 * 256 + window % 510
    forged = ((wrong << behind) | (bits & ((1 << behind) - 1))).to_bytes(len(payload), "big")
    damaged = with_entry_points(stream, payload=forged)
    assert outcome(damaged, 2) == outcome(damaged, 1)
    assert not isinstance(outcome(damaged, 2), list)
