# SPDX-License-Identifier: Apache-2.0
"""Program that serves a Python callable under the command-line contract, one process per vector."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from nnr_conformance.decode_function import observe_call
from nnr_conformance.observation import Status
from nnr_conformance.protocol import EXIT_DECODED, EXIT_REJECTED, EXIT_UNSUPPORTED
from nnr_conformance.python_child import load_function, save_answer


def main(argv: Sequence[str]) -> int:
    """Decode one vector: ``SPEC [ARGUMENT ...] -- INPUT ... -- OUTPUT ...``."""
    first = argv.index("--")
    second = argv.index("--", first + 1)
    function = load_function(argv[0])
    decode = function(*argv[1:first]) if first > 1 else function
    seen = observe_call(decode, [Path(path).read_bytes() for path in argv[first + 1 : second]])
    for answer, path in zip(seen.answers, argv[second + 1 :], strict=False):
        save_answer(answer, Path(path))
    if seen.status is Status.DECODED:
        return EXIT_DECODED
    if seen.status is Status.REJECTED:
        rejection = seen.rejection
        words = ["nnr-error:"]
        if rejection is not None:
            words += [rejection.error_class or ""] + [
                f"{key}={value}"
                for key, value in (
                    ("bit", rejection.bit_offset),
                    ("stage", rejection.stage),
                    ("stream", rejection.stream),
                )
                if value is not None
            ]
        print(*filter(None, words), rejection.message if rejection else "", file=sys.stderr)
        return EXIT_REJECTED
    print(f"{seen.at}: {seen.detail}" if seen.at else seen.detail, file=sys.stderr)
    return EXIT_UNSUPPORTED if seen.status is Status.UNSUPPORTED else 2
