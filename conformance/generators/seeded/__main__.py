# SPDX-License-Identifier: Apache-2.0
"""Generator of the suites that are not stored: ``python -m conformance.generators.seeded {stress,large}``.

    python -m conformance.generators.seeded stress large          # into build/seeded
    python -m nnr_conformance run --suites build/seeded --suite stress --decoder D

``--bless`` computes the record of a suite anew with the model of the specification, which takes minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from conformance.generators.seeded.suites import TITLES, Mismatch, bless, write_suite

ROOT = Path(__file__).resolve().parents[3]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suites", nargs="+", choices=tuple(TITLES), metavar="SUITE", help=", ".join(TITLES))
    parser.add_argument("--to", type=Path, default=ROOT / "build" / "seeded", help="folder of the suites")
    parser.add_argument("--bless", action="store_true", help="compute the records anew")
    parser.add_argument("--most", type=int, metavar="N", help="only the first N vectors")
    options = parser.parse_args(arguments)
    for suite in options.suites:
        started = time.monotonic()
        try:
            if options.bless:
                bless(suite)
            count = write_suite(suite, options.to, most=options.most)
        except Mismatch as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{suite}: {count} vectors in {options.to / suite}, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
