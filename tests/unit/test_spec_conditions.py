# SPDX-License-Identifier: Apache-2.0
"""Table of conditions (clause 7.2) held to a vector, the model and the codec, row by row."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest

import nnr_codec
from spec import model

REPOSITORY = Path(__file__).resolve().parents[2]
SUITE = REPOSITORY / "conformance" / "suites" / "invalid"
PAGE = REPOSITORY / "spec" / "07-limits-and-errors.md"

#: Start of a row's condition, and a vector of the suite ``invalid`` that meets it.
VECTORS = {
    "the stream is empty": "framing/empty",
    "the first unit is not": "order/no-start-unit",
    "a second model": "order/two-model-parameter-sets",
    "`nnr_unit_size` smaller": "framing/long-size-0",
    "the stream ends inside": "framing/trailing-00",
    "a unit reaches beyond": "framing/size-beyond-the-stream-0",
    "another unit between parts": "parts/unknown-unit-between",
    "a part without counter": "parts/counter-repeats",
    "a part whose header": "parts/header-differs",
    "a start unit in parts": "parts/start-unit-in-parts",
    "the stream ends between": "parts/missing-last",
    "an aggregate unit": "framing/aggregate-unit",
    "an element reaches": "size/mps-1-less",
    "an Exp-Golomb value": "exp-golomb/device-id-just-too-large",
    "a string without": "quantization-unit/no-zero",
    "a string that is not": "string/name-not-utf8",
    "an alignment other": "alignment/framing-plain-81",
    "bytes behind a header": "size/mps-a-byte-more",
    "`general_profile_idc`": "start/profile-2",
    "a reserved bit": "reserved/mps-profile-0-bit-0",
    "a reserved storage": "topology/storage-7",
    "bytes that are not": "topology/deflate-not-deflate",
    "a deflate stream without": "topology/deflate-cut",
    "a reserved payload type": "data-unit/scan-order-15",
    "several names outside": "data-unit/several-names-in-payload-type-0",
    "an index beyond": "names/index-beyond-end",
    "a reserved parent type": "data-unit/parent-type-3",
    "the zero entry outside": "codebook/zero-above",
    "a factor outside": "data-unit/factor-without-suffix",
    "a number of names": "data-unit/fewer-names-than-tensors",
    "a codebook entry": "codebook/entry-beyond-int32",
    "`g_number_of_rows` 0": "data-unit/rank-0",
    "no dimensions in": "data-unit/no-dimensions",
    "the weight of a block": "data-unit/block-without-dimension",
    "a name twice": "names/twice-in-a-unit",
    "a missing parent": "sequence/parent-depth-unknown",
    "a previous update": "sequence/parent-of-another-shape",
    "raw values": "data-unit/raw-byte-more",
    "no density": "data-unit/no-density",
    "the codeword ends": "codeword/1-bytes-less",
    "`offset` 510": "codeword/offset-510",
    "`offset` above 255": "codeword/offset-above-256-first",
    "a magnitude beyond": "codeword/escape-beyond-codebook",
    "a level beyond int32": "codeword/escape-overflow-positive",
    "the terminating bin": "codeword/terminating-bin-0",
    "the stop bit": "codeword/stop-bit",
    "a padding bit": "codeword/padding-1-0",
    "bytes behind the codeword": "codeword/bytes-behind",
    "a level outside": "codeword/level-outside-codebook-dq",
}
#: Rows without an element: the model names another one, or the unit.
WITHOUT_ELEMENT = (
    "bit",
    "the unit's first bit",
    "the stream's end",
    "the first bit",
    "the next bit",
    "that bit",
)


@functools.cache
def rows() -> dict[str, list[str]]:
    """Return the cells of the table of 7.2 by condition."""
    section = PAGE.read_text().partition("## 7.2")[2].partition("## 7.3")[0]
    table = [line for line in section.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {row[0]: row[1:] for row in cells}


@functools.cache
def manifest() -> dict[str, Any]:
    vectors = json.loads((SUITE / "manifest.json").read_text())["vectors"]
    return {vector["id"]: vector for vector in vectors}


def streams_of(vector: dict[str, Any]) -> list[bytes]:
    return [(SUITE / file["file"]).read_bytes() for file in vector["streams"]]


def decode_by_codec(streams: list[bytes]) -> None:
    decoder = nnr_codec.Decoder()
    for stream in streams:
        for _ in decoder.iterate(stream):
            pass


def decode_by_model(streams: list[bytes], log: list[model.Field]) -> None:
    """Decode a sequence; the log keeps the fields of the last stream."""
    session = model.Session(log=log)
    for stream in streams:
        log.clear()
        session.decode(stream)


def header_end(log: list[model.Field], unit_path: str) -> int:
    """Return the bit behind the last alignment of a unit."""
    alignments = [field for field in log if field.path == f"{unit_path}.byte_alignment"]
    return alignments[-1].bit_offset + alignments[-1].n_bits


def test_every_condition_has_a_vector() -> None:
    unmatched = {
        condition: [start for start in VECTORS if condition.startswith(start)] for condition in rows()
    }
    assert all(len(starts) == 1 for starts in unmatched.values()), unmatched
    assert len(unmatched) == len(VECTORS)


@pytest.mark.parametrize("start", VECTORS)
def test_model_and_codec_report_the_condition_as_the_table_says(start: str) -> None:
    (row,) = (cells for condition, cells in rows().items() if condition.startswith(start))
    error_class, stage, element, clause = row
    vector = manifest()[f"invalid/{VECTORS[start]}"]
    streams = streams_of(vector)
    log: list[model.Field] = []
    with pytest.raises(model.StreamError) as caught:
        decode_by_model(streams, log)
    error = caught.value
    assert error.verdict == error_class
    assert vector["expect"]["error"]["stage"] == stage
    if clause != "the unit's":
        assert any(part == error.clause or part.startswith(f"{error.clause}.") for part in clause.split(", "))
    unit_path, _, name = error.path.partition(".")
    if element.startswith("payload") and not element.startswith("payload's"):
        assert error.bit_offset == header_end(log, unit_path)
    elif element == "the tenth bit of the payload":
        assert error.bit_offset == header_end(log, unit_path) + 9
    elif element in ("the stream's end", "the payload's end"):
        assert error.bit_offset == 8 * len(streams[-1])
    elif not element.startswith(WITHOUT_ELEMENT) and "`" in element:
        names = {text.strip("()") for text in re.findall(r"`([^`]+)`", element)}
        # The model names the unit where a feature is unsupported.
        name = name or next(f.path.partition(".")[2] for f in log if f.bit_offset == error.bit_offset)
        assert re.sub(r"\[\d+\]", "", name.rpartition(".")[2]).strip("()") in names
    with pytest.raises(nnr_codec.NnrError) as raised:
        decode_by_codec(streams)
    assert type(raised.value).__name__.lower().startswith(error_class)
    assert raised.value.bit_offset == error.bit_offset
