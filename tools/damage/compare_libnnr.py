# SPDX-License-Identifier: Apache-2.0
"""Damage test of libnnr against the other decoders: every truncation and every flipped bit of the small conformance vectors.

    python -m tools.damage.compare_libnnr                                     # all cases, in interleaved samples
    python -m tools.damage.compare_libnnr --from-sample 9                     # the second half of them
    python -m tools.damage.compare_libnnr --every 11                          # every eleventh
    python -m tools.damage.compare_libnnr --construct-every 1 --model-every 5 # the slow decoders too, the model on a fifth

The decoders are libnnr, the Python decoder, the reference decoder whose headers construct parses, and the specification's model.
They agree if all accept a case with the same names, shapes, levels and values, or all reject it with the same class and bit.
The exit code is 1 on disagreement.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from tools import libnnr
from tools.damage import native
from tools.damage.__main__ import Model, add_model_options, cases_of, vectors
from tools.damage.cases import damaged
from tools.damage.libnnr import Library

if TYPE_CHECKING:
    from tools.damage.cases import Verdict


class Comparison:
    """Verdicts of all decoders, with counts of cases by decoder.

    Parameters
    ----------
    library : Library
    model : Model or None
        None if the model takes part in no case.
    construct_every, model_every : int
        The slow decoders take part in every N-th case; 0 for none.
    """

    def __init__(
        self, library: Library, model: Model | None, *, construct_every: int, model_every: int
    ) -> None:
        self._library = library
        self._model = model
        self._construct_every = construct_every
        self._model_every = model_every
        self.verdicts: Counter[str] = Counter()
        self.n_cases: Counter[str] = Counter()
        self.n_differing = 0

    def compare(self, name: str, streams: list[bytes], numbers: range, position: int) -> None:
        """Compare the decoders on cases of a vector, and print the disagreements."""
        by_model = _every(numbers, self._model_every, position)
        answers: dict[int, Verdict] = {}
        if self._model is not None and by_model:
            answers = dict(zip(by_model, self._model.ask(streams, by_model)(), strict=True))
        by_construct = set(_every(numbers, self._construct_every, position))
        for number in numbers:
            case, what = damaged(streams, number)
            actual = self._library.verdict(case)
            expected = {"Python": native.verdict(case)}
            if number in by_construct:
                expected["construct"] = native.construct_verdict(case)
            if number in answers:
                expected["the model"] = answers[number]
            self.verdicts[actual[0]] += 1
            self.n_cases.update(expected.keys())
            differing = [f"{decoder} {verdict}" for decoder, verdict in expected.items() if verdict != actual]
            if differing:
                self.n_differing += 1
                print(f"{name}: {what}: {actual}, {', '.join(differing)}", flush=True)

    def __str__(self) -> str:
        compared = ", ".join(f"{count:,} with {decoder}" for decoder, count in self.n_cases.items())
        return f"{self.verdicts.total():,} cases ({compared}), {self.n_differing} differ"


def _every(numbers: range, every: int, position: int) -> range:
    return numbers[position % every :: every] if every else range(0)


def main() -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=1, help="sample every N-th case")
    parser.add_argument(
        "--construct-every", type=int, default=0, metavar="N", help="compare construct on every N-th of them"
    )
    parser.add_argument(
        "--model-every", type=int, default=0, metavar="N", help="compare the model on every N-th of them"
    )
    parser.add_argument("--from-sample", type=int, default=1, metavar="N", help="continue at this sample")
    parser.add_argument("--seconds", type=float, default=1e12, help="end after this time")
    add_model_options(parser)
    options = parser.parse_args()
    comparison = Comparison(
        Library(next(libnnr.build("libnnr-tests", quiet=True).glob("libnnr.*[!0-9]"))),
        Model(options.python, options.model_answers) if options.model_every else None,
        construct_every=options.construct_every,
        model_every=options.model_every,
    )
    sequences, n_samples = list(vectors()), 16 if options.every == 1 else 1
    end = time.monotonic() + options.seconds
    for sample in range(options.from_sample - 1, n_samples):
        for position, (name, streams) in enumerate(sequences):
            numbers = cases_of(streams, options.every * n_samples, position + sample)
            comparison.compare(name, streams, numbers, position)
            if time.monotonic() > end:
                break
        print(f"sample {sample + 1} of {n_samples}: {comparison}", flush=True)
        if time.monotonic() > end:
            break
    print(f"{comparison}: {dict(comparison.verdicts)}")
    return 1 if comparison.n_differing else 0


if __name__ == "__main__":
    sys.exit(main())
