# SPDX-License-Identifier: Apache-2.0
"""Damage corpus: every truncation and every flipped bit of the small valid vectors, with digests of the model's outcomes.

    python -m conformance.generators.seeded.corpus --decoder D [--every N]

A vector has a digest per layer: ``verdict`` (accepted with the same values, or rejected), ``class`` and ``bit``. A decoder is
compared in the layers that it shows. The exit code is 1 if a vector differs in one. ``--bless`` computes the record anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nnr_conformance.adapter import resolve_adapter
from nnr_conformance.decoders import Decoder
from nnr_conformance.digests import stream_digest
from nnr_conformance.limits import Limits
from nnr_conformance.observation import Observation, Status
from nnr_conformance.suite import find_suites

from conformance.generators.seeded.outcome import LeftOut, Outcome, outcome_of
from tools.damage.cases import damaged, n_cases

ROOT = Path(__file__).resolve().parents[3]
RECORD = Path(__file__).with_name("corpus.json")
LARGEST_BYTES = 64
LAYERS = ("verdict", "class", "bit")


def vectors() -> Iterator[tuple[str, list[bytes]]]:
    """Yield ids and streams of the small valid vectors."""
    for suite in find_suites(ROOT / "conformance" / "suites", ("core", "extended")):
        for vector in suite.manifest.vectors:
            if vector.dimensions is None and sum(file.size_bytes for file in vector.streams) <= LARGEST_BYTES:
                yield vector.id, [suite.read(file) for file in vector.streams]


class Digests:
    """Digests of the outcomes of a vector's cases, and the layers that a decoder did not show."""

    def __init__(self) -> None:
        self._digests = {layer: hashlib.sha256() for layer in LAYERS}
        self.hidden: set[str] = set()

    def add(self, outcome: Outcome | None, *, has_class: bool = True, has_bit: bool = True) -> None:
        """Add the outcome of the next case; None for one that is left out."""
        texts = dict.fromkeys(LAYERS, "-")
        if outcome is not None and not outcome.error_class:
            texts = dict.fromkeys(LAYERS, outcome.text())
        elif outcome is not None:
            place = f" {outcome.bit} {outcome.stream}" if outcome.error_class != "unsupported" else ""
            texts = {"verdict": "reject", "class": outcome.error_class, "bit": outcome.error_class + place}
            self.hidden |= {"class", "bit"} if not has_class else set() if has_bit else {"bit"}
        for layer, text in texts.items():
            self._digests[layer].update(text.encode() + b"\n")

    def texts(self) -> dict[str, str]:
        """Return the digests by layer, in hexadecimal."""
        return {layer: digest.hexdigest()[:32] for layer, digest in self._digests.items()}


def bless() -> None:
    """Compute the record with the model."""
    record: dict[str, Any] = {}
    for name, streams in vectors():
        digests, left_out = Digests(), []
        for number in range(n_cases(streams)):
            try:
                digests.add(outcome_of(damaged(streams, number)[0]))
            except LeftOut:
                left_out.append(number)
                digests.add(None)
        record[name] = {"cases": n_cases(streams), "left_out": left_out, **digests.texts()}
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in record.items()]
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def compare(
    decode: Callable[[list[bytes]], Observation], streams: Sequence[bytes], entry: dict[str, Any]
) -> list[str]:
    """Run a decoder on the cases of a vector; returns the layers that differ."""
    digests, left_out = Digests(), set(entry["left_out"])
    for number in range(entry["cases"]):
        if number in left_out:
            digests.add(None)
            continue
        seen = decode(damaged(streams, number)[0])
        outcome = _outcome(seen)
        if outcome is None:
            return [f"{seen.status.value} on {damaged(streams, number)[1]}"]
        rejection = seen.rejection
        digests.add(
            outcome,
            has_class=seen.status is Status.UNSUPPORTED or (rejection is not None and rejection.error_class is not None),
            has_bit=seen.status is Status.UNSUPPORTED or (rejection is not None and rejection.bit_offset is not None),
        )  # fmt: skip
    texts = digests.texts()
    return [layer for layer in LAYERS if layer not in digests.hidden and texts[layer] != entry[layer]]


def _outcome(seen: Observation) -> Outcome | None:
    if seen.status is Status.DECODED:
        return Outcome(tuple(stream_digest(answer.hashed_values()) for answer in seen.answers))
    if seen.status is Status.UNSUPPORTED:
        return Outcome((), "unsupported")
    if seen.status is Status.REJECTED:
        rejection = seen.rejection
        if rejection is None:
            return Outcome((), "rejected")
        return Outcome(
            (), rejection.error_class or "rejected", rejection.bit_offset or 0, rejection.stream or 0
        )
    return None


def _decoding(decoder: Decoder, folder: Path, extension: str) -> Callable[[list[bytes]], Observation]:
    limits = Limits()

    def decode(streams: list[bytes]) -> Observation:
        inputs = [folder / f"{number}.nnc" for number in range(len(streams))]
        outputs = [folder / f"{number}{extension}" for number in range(len(streams))]
        for path, stream in zip(inputs, streams, strict=True):
            path.write_bytes(stream)
        for path in outputs:
            path.unlink(missing_ok=True)
        return decoder.decode(inputs, outputs, limits)

    return decode


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--decoder", default="native", metavar="D", help="decoder under test")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th vector only")
    parser.add_argument("--bless", action="store_true", help="compute the record anew")
    options = parser.parse_args(arguments)
    if options.bless:
        bless()
        return 0
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    adapter = resolve_adapter(options.decoder)
    decoder, n_checked, n_differing, cases = adapter.build(), 0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        decoder.start(Path(name), Limits())
        try:
            chosen = [(key, streams) for key, streams in vectors() if key in record][:: options.every]
            decode = _decoding(decoder, Path(name), adapter.extension)
            for key, streams in chosen:
                differing = compare(decode, streams, record[key])
                n_checked += 1
                cases += record[key]["cases"] - len(record[key]["left_out"])
                if differing:
                    n_differing += 1
                    print(f"{key}: {', '.join(differing)}", flush=True)
        finally:
            decoder.close()
    print(f"{n_checked} vectors, {cases:,} cases, {n_differing} vectors differ")
    return int(n_differing > 0)


if __name__ == "__main__":
    sys.exit(main())
