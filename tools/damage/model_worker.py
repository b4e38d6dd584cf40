# SPDX-License-Identifier: Apache-2.0
"""Process of the specification's model: ``pypy3 -m tools.damage.model_worker`` reads jobs and writes verdicts.

A job is a line ``{"streams": [hex], "numbers": [first, end, step]}``; its answer is a line with the list of verdicts.
"""

from __future__ import annotations

import builtins
import copy
import hashlib
import json
import sys
from array import array

if sys.version_info < (3, 10):  # noqa: UP036 - PyPy may be Python 3.9
    # The only feature of Python 3.10 in the model is zip(strict=), an internal check.
    _zip = builtins.zip
    builtins.zip = lambda *columns, strict=False: _zip(*columns)  # noqa: ARG005 - 3.9 has no strict

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


class Sequence:
    """Sequence of streams with cached decoder states, so that a case starts at its damaged stream."""

    def __init__(self, streams: list[bytes]) -> None:
        self.streams = streams
        self._states: list[tuple[Session, hashlib._Hash]] = [
            (Session(limits=LIMITS, rejects_missed_updates=True), hashlib.sha256())
        ]

    def verdict(self, number: int) -> cases.Verdict:
        """Decode the sequence with the damage of a case."""
        first, streams = cases.stream_of(self.streams, number), cases.damaged(self.streams, number)[0]
        try:
            while len(self._states) <= first:
                self._states.append(_decoded(*self._states[-1], streams[len(self._states) - 1]))
            session, digest = self._states[first]
            for stream in streams[first:]:
                session, digest = _decoded(session, digest, stream)
        except StreamError as error:
            return error.verdict, error.bit_offset
        return "accept", digest.hexdigest()


def _decoded(session: Session, digest: hashlib._Hash, stream: bytes) -> tuple[Session, hashlib._Hash]:
    """Decode one more stream on copies of the state."""
    session, digest = copy.copy(session), digest.copy()
    session.tree = copy.copy(session.tree)
    session.tree.by_node, session.tree.by_digest = dict(session.tree.by_node), dict(session.tree.by_digest)
    for name, tensor in sorted(session.decode(stream).tensors.items()):
        levels = b"" if tensor.levels is None else array("i", tensor.levels).tobytes()
        digest.update(repr((name, list(tensor.shape), tensor.dtype)).encode() + levels + tensor.value_bytes)
    return session, digest


def main() -> None:
    """Serve jobs until stdin closes."""
    for line in sys.stdin:
        job = json.loads(line)
        sequence = Sequence([bytes.fromhex(text) for text in job["streams"]])
        print(json.dumps([sequence.verdict(number) for number in range(*job["numbers"])]), flush=True)


if __name__ == "__main__":
    main()
