# SPDX-License-Identifier: Apache-2.0
"""Checks of the inspector on any streams: ``python -m tools.check_inspector DIR_OR_FILE...``.

For every .nnc or .nnr file, the ledger must add up exactly to the file size; the fractional bits of every payload must
agree with its length within 0.1 %, without stop bit and padding; dumping to JSON and building must restore the bytes.
Streams named ``x_0.nnc``, ``x_1.nnc``, ... are a series of updates. The program prints one line per failure and the
totals; the exit code is 1 on failures.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from nnr_codec.inspect import Summary, Survey, UnitReport, build_stream, records_of, summarize
from nnr_codec.inspect.views.document import dump_json, dump_json_lines

#: Largest share by which fractional bits may differ from the length of a payload.
AGREEMENT = 0.001


def streams(places: list[str]) -> Iterator[Path]:
    """Yield the streams in files and folders."""
    for place in map(Path, places):
        if place.is_dir():
            yield from sorted(path for path in place.rglob("*") if path.suffix in (".nnc", ".nnr"))
        else:
            yield place


def earlier(path: Path) -> list[bytes]:
    """Read the earlier streams of the series of a stream."""
    match = re.fullmatch(r"(.*_)(\d+)", path.stem)
    if match is None:
        return []
    before = [path.with_name(f"{match[1]}{number}{path.suffix}") for number in range(int(match[2]))]
    return [file.read_bytes() for file in before if file.exists()]


def problems(path: Path, totals: dict[str, float]) -> Iterator[str]:
    """Yield the failed checks of a stream."""
    octets = path.read_bytes()
    after = earlier(path)
    survey = Survey(octets, after=after)
    summary = summarize(survey)
    if not summary.ledger.is_exact(len(octets)):
        yield f"the ledger has {summary.ledger.total_bits} bits and the file {8 * len(octets)}"
    spent = sum(line.bits for line in summary.ledger.payload.values())
    if abs(spent - summary.ledger.decoded_payload_bits) > 1e-6 * max(1, spent):
        yield f"payload lines add up to {spent} and not {summary.ledger.decoded_payload_bits}"
    for piece in survey:
        if isinstance(piece, UnitReport) and piece.payload is not None and piece.payload.n_bits:
            off = abs(piece.payload.discrepancy_bits) / piece.payload.n_bits
            totals["worst"] = max(totals["worst"], off)
            totals["payloads"] += 1
            if off > AGREEMENT:
                yield f"{piece.span.path}: fractional bits differ from the payload's by {100 * off:.3f} %"
    for name, lines in (("json", dump_json), ("jsonl", dump_json_lines)):
        text = "\n".join(lines(path.name, Survey(octets, after=after), Summary()))
        records = records_of(text)
        if b"".join(build_stream(records)) != octets:
            yield f"dump to {name} and build gives other bytes"
        totals["as syntax"] += sum("syntax" in record for record in records)
        totals["units"] += len(records)
        if name == "json":
            json.loads(text)
    totals["faults"] += len(summary.faults)
    totals["bytes"] += len(octets)


def main(places: list[str]) -> int:
    """Check all streams; returns the exit code."""
    totals = dict.fromkeys(("worst", "payloads", "as syntax", "units", "faults", "bytes"), 0.0)
    count = failures = 0
    for path in streams(places):
        count += 1
        for problem in problems(path, totals):
            failures += 1
            print(f"{path}: {problem}")
    size, payloads = totals["bytes"], totals["payloads"]
    print(f"{count} streams, {size:,.0f} bytes, {payloads:,.0f} payloads: {failures} failures")
    print(f"worst disagreement of fractional bits with a payload's length: {100 * totals['worst']:.1e} %")
    print(f"{totals['as syntax']:.0f} of {totals['units']:.0f} records built from syntax, others from octets")
    print(f"{totals['faults']:.0f} faults in the streams")
    return 1 if failures or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
