# SPDX-License-Identifier: Apache-2.0
"""Text dumps as they were last looked at; with `NNR_BLESS=1` in the environment they are written anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nnr_codec.inspect import Dump, Paint, Survey

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
STREAMS = sorted(GOLDEN.glob("*.nnc"))


def damaged(octets: bytes, how: str) -> bytes:
    if how == "truncated":
        return octets[: len(octets) * 3 // 5]
    if how == "flipped":  # a bit of the last unit's size
        at = list(Survey(octets, payloads=False))[-1].span.byte_offset
        return octets[: at + 1] + bytes([octets[at + 1] ^ 0x20]) + octets[at + 2 :]
    if how == "spliced":  # the start of one stream and the end of another
        return octets[: len(octets) // 2] + (GOLDEN / "integers.nnc").read_bytes()
    return octets


def test_there_are_streams() -> None:
    assert len(STREAMS) >= 3


@pytest.mark.parametrize(
    ("how", "view"),
    [("whole", view) for view in ("summary", "tree", "trace", "hex", "units")]
    + [(how, "tree") for how in ("truncated", "flipped", "spliced")],
)
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_dump_is_as_blessed(path: Path, view: str, how: str) -> None:
    octets = damaged(path.read_bytes(), how)
    dump = Dump(Survey(octets), path.name, Paint(width=110))
    text = "\n".join(dump.lines(view, "text")) + "\n"
    blessed = GOLDEN / f"{path.stem}.{how}.{view}.txt"
    if os.environ.get("NNR_BLESS"):
        blessed.write_text(text, encoding="utf-8")
    assert blessed.exists(), "no golden dump; NNR_BLESS=1 writes it"
    assert text == blessed.read_text(encoding="utf-8")
    assert dump.malformed == (how != "whole")


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_dump_for_diff_shows_no_place(path: Path) -> None:
    octets = path.read_bytes()
    # A unit of an unspecified type in front moves everything behind it and changes nothing else.
    moved = octets[:4] + bytes([0, 4, 40 << 2, 7]) + octets[4:]
    assert set(elements(octets)) < set(elements(moved))
    assert len(elements(moved)) == len(elements(octets)) + 6


def elements(octets: bytes) -> list[str]:
    lines = Dump(Survey(octets), "", Paint(), for_diff=True).lines("tree", "text")
    return [line for line in lines if "nnr_unit[" not in line]
