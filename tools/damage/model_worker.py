# SPDX-License-Identifier: Apache-2.0
"""The specification's model as a process: ``pypy3 -m tools.damage.model_worker`` reads jobs and answers verdicts.

A job is a line ``{"streams": [hex], "numbers": [first, end, step]}``, an answer the list of verdicts.
"""

from __future__ import annotations

import builtins
import copy
import hashlib
import json
import sys
from array import array

if sys.version_info < (3, 10):  # noqa: UP036 - PyPy's distribution speaks Python 3.9
    # Of 3.10 the model needs only that zip knows `strict`, which checks our own code.
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
    """A sequence of streams, and what the model knows after each intact one: a case begins at the damaged stream."""

    def __init__(self, streams: list[bytes]) -> None:
        self.streams = streams
        self._known: list[tuple[Session, hashlib._Hash]] = [(Session(limits=LIMITS), hashlib.sha256())]

    def verdict(self, number: int) -> cases.Verdict:
        """Decode the sequence with one stream damaged."""
        first, streams = cases.stream_of(self.streams, number), cases.damaged(self.streams, number)[0]
        try:
            while len(self._known) <= first:
                self._known.append(_decoded(*self._known[-1], streams[len(self._known) - 1]))
            session, digest = self._known[first]
            for stream in streams[first:]:
                session, digest = _decoded(session, digest, stream)
        except StreamError as error:
            return error.verdict, error.bit_offset
        return "accept", digest.hexdigest()


def _decoded(session: Session, digest: hashlib._Hash, stream: bytes) -> tuple[Session, hashlib._Hash]:
    """Go on by one stream; what was known before it stays as it is."""
    session, digest = copy.copy(session), digest.copy()
    session.tree = copy.copy(session.tree)
    session.tree.by_node, session.tree.by_digest = dict(session.tree.by_node), dict(session.tree.by_digest)
    for name, tensor in sorted(session.decode(stream).tensors.items()):
        levels = b"" if tensor.levels is None else array("i", tensor.levels).tobytes()
        digest.update(repr((name, list(tensor.shape), tensor.dtype)).encode() + levels + tensor.value_bytes)
    return session, digest


def main() -> None:
    """Answer until standard input ends."""
    for line in sys.stdin:
        job = json.loads(line)
        sequence = Sequence([bytes.fromhex(text) for text in job["streams"]])
        print(json.dumps([sequence.verdict(number) for number in range(*job["numbers"])]), flush=True)


if __name__ == "__main__":
    main()
