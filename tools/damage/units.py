# SPDX-License-Identifier: Apache-2.0
"""Damage test of the generated parser against the syntax tables, on every unit of the small conformance vectors.

    python -m tools.damage.units              # all cases
    python -m tools.damage.units --every 37   # a sample

A case is one flipped bit of what precedes a unit's ``bs(v)``, or one truncation of it. Both parsers must give the same tree, or
the same class, bit and element. The exit code is 1 on disagreement.
"""

from __future__ import annotations

import argparse
import math
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from nnr_codec.errors import BitstreamError
from nnr_codec.model import Limits
from nnr_codec.syntax import SyntaxState, Trace, UnitSpan, generated, iter_units, locate, parse_tree
from nnr_codec.syntax.parts import JoinedUnitSpan
from tools.damage.__main__ import vectors
from tools.damage.cases import damaged, n_cases


class Unit(NamedTuple):
    """Bytes of a unit before its ``bs(v)``, its type, and the state before it."""

    name: str
    octets: bytes
    nnr_unit_type: int
    state: SyntaxState


def units() -> Iterator[Unit]:
    """Yield the units of all small vectors, of a faulty stream those before the fault."""
    for name, streams in vectors():
        for stream in streams:
            try:
                for span, _, state in iter_units(stream):
                    if not isinstance(span, JoinedUnitSpan):
                        whole = stream[span.byte_offset : span.byte_offset + span.size_bytes]
                        yield Unit(
                            f"{name} {span.path}", _without_bytes(whole, state), span.nnr_unit_type, state
                        )
            except BitstreamError:
                continue


def _without_bytes(octets: bytes, state: SyntaxState) -> bytes:
    tree = generated.parse(octets, 0, len(octets), state, Limits())
    assert isinstance(tree, dict)
    return octets[: len(octets) - sum(len(value) for value in tree.values() if isinstance(value, memoryview))]


def reference(octets: bytes, nnr_unit_type: int, state: SyntaxState, limits: Limits) -> Any:
    """Parse a unit with the tables; the result is that of `generated.parse`."""
    span = UnitSpan(0, 0, len(octets), nnr_unit_type)
    try:
        return parse_tree(octets, span, state, limits=limits, strict=True, trace=Trace())
    except BitstreamError as error:
        if error.bit_offset is None:
            locate(error, octets, span, state, limits)
        return generated.Fault(type(error), error.bit_offset, error.element)


def exact(outcome: Any) -> Any:
    """Replace what does not compare by its bits and its type: views, and floats, among which are NaNs and zeros of both signs."""
    if isinstance(outcome, dict):
        return {key: exact(value) for key, value in outcome.items()}
    if isinstance(outcome, list):
        return [exact(value) for value in outcome]
    if isinstance(outcome, float):
        return "NaN" if math.isnan(outcome) else struct.pack("<d", outcome)
    return ("view", bytes(outcome)) if isinstance(outcome, memoryview) else outcome


def disagreement(octets: bytes, nnr_unit_type: int, state: SyntaxState, limits: Limits) -> str | None:
    """Parse a unit in both ways; a sentence if the results differ."""
    outcome = generated.parse(octets, 0, len(octets), state, limits)
    expected = reference(octets, nnr_unit_type, state, limits)
    if exact(outcome) == exact(expected):
        return None
    return f"the generated parser gives {outcome}, the tables {expected}"


def compare(every: int) -> Counter[str]:
    """Compare every `every`-th case; counts units, cases, faults and disagreements, and prints the latter."""
    counts: Counter[str] = Counter()
    # Limits low enough for damage to exceed them.
    limits = Limits(max_dimensions=4, max_names=8, max_codebook_size=32, max_name_bytes=40)
    for unit in units():
        counts["units"] += 1
        for number in range(counts["units"] % every, n_cases([unit.octets]), every):
            [octets], what = damaged([unit.octets], number)
            counts["cases"] += 1
            difference = disagreement(octets, unit.nnr_unit_type, unit.state, limits)
            if difference is not None:
                counts["disagreements"] += 1
                print(f"{unit.name}, {what}: {difference}")
    return counts


def main() -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=1, help="sample every N-th case")
    counts = compare(parser.parse_args().every)
    print(", ".join(f"{counts[word]:,} {word}" for word in ("units", "cases", "disagreements")))
    return int(counts["disagreements"] > 0)


if __name__ == "__main__":
    sys.exit(main())
