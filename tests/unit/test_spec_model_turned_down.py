# SPDX-License-Identifier: Apache-2.0
"""Rejections of the model: one stream per condition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from spec import model
from spec.model.tensor_data import TensorData
from tests.spec_streams import (
    BinWriter,
    Bits,
    DataUnit,
    mps,
    plain,
    random_choice,
    start,
    unit,
    verdict_of,
)


def data_unit_with(payload_of: Callable[[BinWriter], bytes]) -> bytes:
    writer = BinWriter(random_choice(1))
    writer.write(8, 0)
    TensorData(writer, DataUnit().coding()).decode()
    return start() + mps() + unit(5, DataUnit().header() + payload_of(writer))


def huge_level() -> bytes:
    data_unit = DataUnit(shape=(1,), unary=1)
    header = data_unit.header()
    writer = BinWriter(lambda element: int("initialisation" not in element and element != "sign_flag"))
    writer.write(8, 0)
    with pytest.raises(model.Malformed):
        TensorData(writer, data_unit.coding()).decode()
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


def test_any_flipped_bit_gives_tensors_or_a_verdict() -> None:
    written = plain()
    outcomes: Counter[str] = Counter()
    for bit in range(8 * len(written)):
        damaged = bytearray(written)
        damaged[bit >> 3] ^= 0x80 >> (bit & 7)
        outcomes[verdict_of(bytes(damaged))] += 1
    assert set(outcomes) <= {"decoded", "truncated", "malformed", "unsupported", "limit"}
    assert outcomes["malformed"] > outcomes["decoded"]
