# SPDX-License-Identifier: Apache-2.0
"""Streams of real size, from seeds: the native encoder writes given levels, so that only the format decides the bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.generators import draft as d
from conformance.generators.draft import UnitDraft, write_stream
from conformance.generators.seeded.splitmix import uniform64
from nnr_codec.entropy import BlockRowStart, TensorCoding, TensorToEncode, encode_payload
from spec.model.tables import NEXT_STATE

Levels = NDArray[np.int32]
#: Magnitudes by six random bits: mostly 1, few large.
_ORDINARY = (1,) * 34 + (2,) * 15 + (3,) * 8 + (5,) * 4 + (12, 90, 700)
_QP_BITS = 8


@dataclass(frozen=True)
class LargeCase:
    """Case of the suite ``large``.

    Parameters
    ----------
    streams : callable
        Returns the streams.
    n_elements : int
        Elements of all tensors, for the throughput; 0 where the time says nothing of it.
    """

    name: str
    purpose: str
    features: str
    streams: Callable[[], list[bytes]]
    clauses: tuple[str, ...] = ()
    n_elements: int = 0
    elements: tuple[str, ...] = field(default=("tensor_dimensions",))


def drawn_levels(name: str, n: int, density: int, magnitudes: Sequence[int] = _ORDINARY) -> Levels:
    """Draw levels, ``density`` of 65536 of them not zero, with magnitudes from a table of 64."""
    draws = uniform64(name, n)
    significant = (draws & np.uint64(0xFFFF)) < np.uint64(density)
    magnitude = np.array(magnitudes, np.int64)[(draws >> np.uint64(16) & np.uint64(63)).astype(np.int64)]
    sign = 1 - 2 * (draws >> np.uint64(22) & np.uint64(1)).astype(np.int64)
    return np.where(significant, sign * magnitude, 0).astype(np.int32)


def with_states(coded: Levels, rows: int, width: int, side: int) -> Levels:
    """Map coded values to levels of dependent quantisation in scan order (5.4, 5.5)."""
    matrix = coded.reshape(rows, width).tolist()
    state = 0
    for top in range(0, rows, side):
        for first_column in range(0, width, side):
            for row in matrix[top : top + side]:
                for column in range(first_column, min(first_column + side, width)):
                    value = row[column]
                    row[column] = 2 * value - ((value > 0) - (value < 0)) * (state & 1)
                    state = NEXT_STATE[state][value & 1]
    return np.array(matrix, np.int32).reshape(-1)


def coded_unit(
    name: str | int,
    shape: Sequence[int],
    levels: Levels,
    *,
    scan: int = 0,
    dq: int = 0,
    unary: int | None = None,
    integers: bool = False,
    qp_value: int = 0,
    base: Levels | None = None,
    history: NDArray[np.uint8] | None = None,
    book: tuple[dict[str, Any], int, int] | None = None,
    **elements: Any,
) -> UnitDraft:
    """Encode a tensor in a data unit of profile 1; ``book`` is a codebook, its size and its zero entry."""
    rows, width = shape[0], int(np.prod(shape[1:], dtype=np.int64))
    coding = TensorCoding(
        rows=rows, width=width, scan_order=scan, unary_length=unary or 10, dependent=bool(dq),
        parent_present=elements.get("parent") is not None, qp_bits=0 if integers else _QP_BITS,
        codebook_size=book[1] if book else 0, codebook_zero=book[2] if book else 0,
    )  # fmt: skip
    tensor = TensorToEncode(coding, levels, qp_value, history_enabled=history is not None,
                            search_initialisations=False, base=base, history=history)  # fmt: skip
    encoded = encode_payload([tensor])
    unit = d.data_unit(
        name, shape, encoded.payload, kind=d.INT if integers else d.FLOAT, scan=scan, dq=dq, unary=unary,
        book=book[0] if book else None, **elements,
    )  # fmt: skip
    if scan:
        unit.tree["cabac_entry_point"] = _entry_points(encoded.block_row_starts[0], dq)
    return unit


def _entry_points(starts: Sequence[BlockRowStart], dq: int) -> list[dict[str, int]]:
    points: list[dict[str, int]] = []
    before = 0
    for first, second in pairwise(starts):
        distance = second.position - first.position
        point = {"cabac_offset_value": second.offset} | ({"dq_state": second.state} if dq else {})
        point["bit_offset_delta2" if points else "bit_offset_delta1"] = distance - before
        points.append(point)
        before = distance
    return points


def _one(unit: UnitDraft, methods: int = 1) -> list[bytes]:
    return [write_stream([d.start(1), d.mps(1, methods=methods), unit])]


def _dense() -> list[bytes]:
    magnitudes = [1 + 13 * index for index in range(64)]
    levels = with_states(drawn_levels("dense", 1 << 20, 60000, magnitudes), 1024, 1024, 1024)
    return _one(coded_unit("dense", (1024, 1024), levels, dq=1), 2)


def _rows() -> list[bytes]:
    levels = drawn_levels("rows", 65537 * 3, 9000).reshape(65537, 3)
    return _one(coded_unit("rows", (65537, 3), levels.reshape(-1)))


def _columns() -> list[bytes]:
    return _one(coded_unit("columns", (3, 65537), drawn_levels("columns", 3 * 65537, 20000), scan=2))


def _block_rows() -> list[bytes]:
    levels = with_states(drawn_levels("block rows", 4099 * 67, 30000), 4099, 67, 8)
    return _one(coded_unit("blocks", (4099, 67), levels, scan=1, dq=1), 2)


def _entry_points_65536() -> list[bytes]:
    rows = 8 * 65536 + 1
    return _one(coded_unit("rows", (rows, 2), drawn_levels("entry points", 2 * rows, 3000), scan=1))


def _names() -> list[bytes]:
    names = [f"{index:x}" for index in range(1 << 16)]
    unit = coded_unit(65535, (20, 30), drawn_levels("names", 600, 20000))
    return [
        write_stream(
            [d.start(1), d.mps(1, mps_topology_indexed_reference_flag=1), d.reference_list(names), unit]
        )
    ]


def _inflated() -> list[bytes]:
    block = bytes(range(256)) * 256
    pieces = [b"\0\0\x80\xff\x7f" + block[: 1 << 15]] * 127 + [b"\1\0\x80\xff\x7f" + block[: 1 << 15]]
    unit = coded_unit("w", (20, 30), drawn_levels("inflated", 600, 20000))
    return [write_stream([d.start(1), d.mps(1), d.topology(b"".join(pieces), 0, 1), unit])]


def _blocks() -> list[bytes]:
    levels = drawn_levels("blocks", 1030 * 1027, 12000)
    return _one(coded_unit("blocks", (1030, 1027), levels, scan=4))


def _sparse() -> list[bytes]:
    return _one(coded_unit("sparse", (2048, 2049), drawn_levels("sparse", 2048 * 2049, 60)))


def _vector() -> list[bytes]:
    return _one(coded_unit("vector", (1048577,), drawn_levels("vector", 1048577, 3000)))


def _tensors() -> list[bytes]:
    units = [d.start(1), d.mps(1)]
    for number in range(600):
        if number % 50 == 0:
            units.append(d.lps(density=2, qp=-number // 50))
        name = f"block{number // 6}.part{number % 6}.weight"
        levels = drawn_levels(name, 40 * 25, 2000 + 50 * number)
        units.append(coded_unit(name, (40, 5, 5), levels, scan=number % 3, qp_value=number % 7))
    return [write_stream(units)]


def _updates() -> list[bytes]:
    streams: list[bytes] = []
    base: Levels | None = None
    history = np.zeros(64 * 33, np.uint8)
    for number in range(60):
        levels = drawn_levels(f"update {number}", 64 * 33, 2500)
        unit = coded_unit(
            "w", (64, 33), levels, base=base, history=history if number % 2 else None,
            node=(0, 0, number + 1), parent=d.child_of(), parents=1,
        )  # fmt: skip
        streams.append(write_stream([d.start(1), d.mps(1, parents=1), unit]))
        base, history = levels, (history | (levels != 0)).astype(np.uint8)
    return streams


def _raw() -> list[bytes]:
    # Any bits but NaNs with a payload, which arithmetic of a decoder could change: the top exponent bit is cleared.
    bits = (uniform64("raw", (1 << 20) + 1) & np.uint64(0xBFFFFFFF)).astype("<u4")
    return _one(d.data_unit("raw", ((1 << 20) + 1,), bits.tobytes(), kind=d.RAW))


def _integers() -> list[bytes]:
    magnitudes = [(1 << index // 2) - index % 2 for index in range(2, 66)]
    magnitudes = [min(m, (1 << 31) - 1) for m in magnitudes]
    return _one(coded_unit("integers", (128, 513), drawn_levels("integers", 128 * 513, 50000, magnitudes), integers=True, unary=3))  # fmt: skip


def _parts() -> list[bytes]:
    magnitudes = [1 + 5 * index for index in range(64)]
    unit = coded_unit("parts", (512, 512), drawn_levels("parts", 1 << 18, 60000, magnitudes))
    unit.part_bytes = len(unit.tree["nnr_compressed_data_unit_payload"]) // 255 + 1
    return _one(unit)


def _codebook() -> list[bytes]:
    size, zero = 1 << 16, 30000
    steps = 1 + (uniform64("codebook", size) & np.uint64(63)).astype(np.int64)
    entries = np.cumsum(steps)
    book = d.codebook([int(entry) for entry in entries - entries[zero] + 7], zero, egk=4)
    levels = (uniform64("codebook levels", 100 * 300) % np.uint64(size)).astype(np.int64) - zero
    return _one(coded_unit("codebook", (100, 300), levels.astype(np.int32), book=(book, size, zero)), 5)


def _timed() -> list[bytes]:
    return _one(coded_unit("timed", (2048, 1024), drawn_levels("timed", 1 << 21, 16000)))


CASES = (
    LargeCase("dense-1m", "A decoder whose refill of bits, or whose position in bits, fails far inside a long unit.",
              "dependent-quantization exp-golomb", _dense, ("5.1", "5.4")),
    LargeCase("rows-65537", "A decoder that counts rows, or skipped rows, in 16 bits.", "row-skip", _rows, ("5.3.1",)),
    LargeCase("columns-65537", "A decoder that counts columns, or their blocks, in 16 bits.", "block-scan", _columns, ("5.5",)),
    LargeCase("block-rows-513", "A decoder that counts entry points in few bits, or adds their distances to something small.",
              "block-scan entry-points dependent-quantization", _block_rows, ("3.2.4", "5.5"), elements=("bit_offset_delta2",)),
    LargeCase("blocks-of-64", "A decoder that crops large blocks at the wrong edge.", "block-scan entry-points", _blocks, ("5.5",)),
    LargeCase("sparse-4m", "A decoder whose element index overflows, or that reads ahead beyond a short codeword.", "uniform", _sparse,
              ("5.3",)),
    LargeCase("vector-1048577", "A decoder that keeps a vector in a matrix of limited sides.", "uniform", _vector, ("5.3",)),
    LargeCase("tensors-600", "A decoder that leaks state between units, or allots a fixed number of tensors.",
              "layer-parameter-set block-scan", _tensors, ("2.6", "4.1")),
    LargeCase("updates-60", "A decoder whose history or base departs after many updates.", "incremental temporal-context history-context",
              _updates, ("5.6",), elements=("put_node_depth",)),
    LargeCase("raw-4mb", "A decoder that handles long raw payloads in pieces and loses one.", "raw-float", _raw, ("3.5",)),
    LargeCase("integers", "A decoder whose prefix or suffix overflows between other codewords.", "integer-payload exp-golomb greater-flags",
              _integers, ("5.3.3",)),
    LargeCase("parts-255", "A decoder that joins many parts of a unit in quadratic time, or loses a bit between two.", "partial-units",
              _parts, ("2.4",), elements=("partial_data_counter",)),
    LargeCase("codebook-65536", "A decoder that indexes codebook entries in 16 signed bits.", "codebook", _codebook, ("3.2.3", "4.3"),
              elements=("codebook_size",)),
    LargeCase("entry-points-65536", "A decoder that refuses the recommended number of entry points.", "block-scan entry-points limits",
              _entry_points_65536, ("3.2.4", "7.3"), elements=("bit_offset_delta2",)),
    LargeCase("names-65536", "A decoder that refuses the recommended number of names, or indexes them in 16 signed bits.",
              "indexed-reference topology limits", _names, ("3.2.1", "7.3"), elements=("count_topology_elements_minus2",)),
    LargeCase("inflated-4mb", "A decoder that refuses inflated data of the recommended size.", "topology limits", _inflated, ("2.8", "7.3"),
              elements=("topology_data",)),
    LargeCase("timed", "Nothing: its time is reported.", "uniform row-skip", _timed, ("5.3",), n_elements=1 << 21),
)  # fmt: skip
