# SPDX-License-Identifier: Apache-2.0
"""The specification's model as a process: ``pypy3 -m tools.damage.model_worker`` reads jobs and answers verdicts.

A job is a line ``{"streams": [hex], "numbers": [first, end, step]}``, an answer the list of verdicts.
"""

from __future__ import annotations

import builtins
import hashlib
import json
import sys
from array import array
from collections.abc import Sequence

if sys.version_info < (3, 10):  # noqa: UP036 - PyPy's distribution speaks Python 3.9
    # Of 3.10 the model needs only that zip knows `strict`, which checks our own code.
    _zip = builtins.zip
    builtins.zip = lambda *columns, strict=False: _zip(*columns)  # type: ignore[assignment,misc] # noqa: ARG005

from spec.model import Limits, Session, StreamError
from tools.damage import cases

LIMITS = Limits(
    tensor_elements=cases.TENSOR_ELEMENTS,
    stream_elements=cases.STREAM_ELEMENTS,
    tensor_dimensions=cases.DIMENSIONS,
    topology_elements=cases.NAMES,
    codebook_size=cases.CODEBOOK_SIZE,
    entry_points=1 << 40,
)


def verdict(streams: Sequence[bytes]) -> cases.Verdict:
    """Decode a sequence."""
    session, digest = Session(limits=LIMITS), hashlib.sha256()
    for stream in streams:
        try:
            decoded = session.decode(stream)
        except StreamError as error:
            return error.verdict, error.bit_offset
        for name, tensor in sorted(decoded.tensors.items()):
            levels = b"" if tensor.levels is None else array("i", tensor.levels).tobytes()
            digest.update(
                repr((name, list(tensor.shape), tensor.dtype)).encode() + levels + tensor.value_bytes
            )
    return "accept", digest.hexdigest()


def main() -> None:
    """Answer until standard input ends."""
    for line in sys.stdin:
        job = json.loads(line)
        streams = [bytes.fromhex(text) for text in job["streams"]]
        print(
            json.dumps([verdict(cases.damaged(streams, number)[0]) for number in range(*job["numbers"])]),
            flush=True,
        )


if __name__ == "__main__":
    main()
