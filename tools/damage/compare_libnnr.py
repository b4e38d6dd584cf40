# SPDX-License-Identifier: Apache-2.0
"""Damage test of libnnr against the Python decoder: every truncation and every flipped bit of the small conformance vectors.

    python -m tools.damage.compare_libnnr                  # all cases, in interleaved samples
    python -m tools.damage.compare_libnnr --every 11

The decoders agree if both accept a case with the same names, shapes, levels and values, or both reject it with the same class and
bit. The exit code is 1 on disagreement.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tools import libnnr
from tools.damage import native
from tools.damage.__main__ import cases_of, vectors
from tools.damage.cases import damaged
from tools.damage.libnnr import Library


def main() -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=1, help="sample every N-th case")
    parser.add_argument("--seconds", type=float, default=1e12, help="end after this time")
    options = parser.parse_args()
    library = Library(next(libnnr.build("libnnr-tests", quiet=True).glob("libnnr.*[!0-9]")))
    sequences, n_samples = list(vectors()), 16 if options.every == 1 else 1
    verdicts: Counter[str] = Counter()
    n_differing, end = 0, time.monotonic() + options.seconds
    for sample in range(n_samples):
        for position, (name, streams) in enumerate(sequences):
            for number in cases_of(streams, options.every * n_samples, position + sample):
                case, what = damaged(streams, number)
                actual, expected = library.verdict(case), native.verdict(case)
                verdicts[actual[0]] += 1
                if actual != expected:
                    n_differing += 1
                    print(f"{name}: {what}: {actual}, Python {expected}", flush=True)
            if time.monotonic() > end:
                break
        print(
            f"sample {sample + 1} of {n_samples}: {verdicts.total():,} cases, {n_differing} differ",
            flush=True,
        )
        if time.monotonic() > end:
            break
    print(f"{verdicts.total():,} cases, {n_differing} differ: {dict(verdicts)}")
    return 1 if n_differing else 0


if __name__ == "__main__":
    sys.exit(main())
