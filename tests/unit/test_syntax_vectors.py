# SPDX-License-Identifier: Apache-2.0
"""Units of NNCodec's streams parse, trace every bit, and build to the same bytes."""

import os
from pathlib import Path

import pytest

from nnr_codec.syntax import (
    SyntaxState,
    Trace,
    build_tree,
    build_unit,
    iter_unit_spans,
    parse_tree,
    parse_unit,
)

SHARED = Path(os.environ.get("NNR_SHARED", Path(__file__).parents[3] / "shared"))
STREAMS = sorted((SHARED / "vectors").glob("*.nnc"))


@pytest.mark.skipif(not STREAMS, reason="the peer's streams are not here (NNR_SHARED names their folder)")
def test_the_peer_streams_are_all_here() -> None:
    assert len(STREAMS) >= 66


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_units_of_the_peer_build_again(path: Path) -> None:
    stream = path.read_bytes()
    state = SyntaxState()
    for span in iter_unit_spans(stream):
        octets = stream[span.byte_offset : span.byte_offset + span.size_bytes]
        trace = Trace()
        unit = parse_unit(stream, span, state, trace)
        assert build_unit(unit, state) == octets
        assert build_tree(parse_tree(stream, span, state), state) == octets
        position = 8 * span.byte_offset
        for event in trace:
            assert event.bit_offset == position
            position += event.n_bits
        assert position == 8 * (span.byte_offset + span.size_bytes)
        state = state.after(unit)
