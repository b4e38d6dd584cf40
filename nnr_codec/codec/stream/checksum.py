# SPDX-License-Identifier: Apache-2.0
"""A checksum that travels with the stream, where every conforming decoder ignores it.

It is the last unit: a topology unit of unrecognised format whose text holds the SHA-256 of all bytes before it. The unit
itself is checked by building it again: whatever bit of it is damaged, it is no longer the one that was written. A checksum
finds damage; it does not prove who wrote the stream.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from nnr_codec.codec.stream.deadline import Deadline
from nnr_codec.codec.stream.input import PagesRead
from nnr_codec.errors import BitstreamError, LimitExceeded, MalformedBitstream
from nnr_codec.model import Limits, NnrUnitType, TopologyStorageFormat, TopologyUnit
from nnr_codec.syntax import SyntaxState, UnitSpan, build_unit, iter_unit_spans, parse_unit

_KEY = "nnr_codec.sha256"
_PIECE_BYTES = 1 << 22
#: The unit, of some 110 bytes and the last of its stream, lies within so many bytes of the end.
_TAIL_BYTES = 1024


def checksum_unit(digest: bytes) -> bytes:
    """Return the unit that closes a stream whose bytes so far have this SHA-256."""
    text = json.dumps({_KEY: digest.hex()}, separators=(",", ":"))
    unit = TopologyUnit(storage_format=TopologyStorageFormat.NNR_TPL_UNREC, topology_data=text.encode())
    return build_unit(unit, SyntaxState(general_profile_idc=1))


def verify_checksum(buffer: memoryview, limits: Limits, deadline: Deadline, *, required: bool) -> bool:
    """Check a stream against its checksum.

    Parameters
    ----------
    buffer : memoryview
        The whole stream.
    limits : Limits
    deadline : Deadline
    required : bool
        Whether a stream without a checksum is refused.

    Returns
    -------
    bool
        Whether there was one.

    Raises
    ------
    MalformedBitstream
        The bytes are not those that were written, or there is no checksum and one is required.
    """
    if not required and _KEY.encode() not in bytes(buffer[-_TAIL_BYTES:]):
        # No last unit is a checksum then. Walking over the units tells the same, and takes a hundredth of decoding's time.
        return False
    last: UnitSpan | None = None
    try:
        for span in iter_unit_spans(buffer, limits):
            deadline.check(span.path, span.byte_offset)
            last = span
    except LimitExceeded:
        raise
    except BitstreamError:
        # Whoever decodes comes to it in its turn: the first fault in stream order is the one to report.
        if required:
            raise
        return False
    written = _digest_in(buffer, last, limits) if last is not None else None
    if last is None or written is None:
        if required:
            raise MalformedBitstream(
                "the stream does not end with a checksum", path="nnr_bitstream", bit_offset=8 * len(buffer)
            )
        return False
    unit = bytes(buffer[last.byte_offset : last.byte_offset + last.size_bytes])
    if _sha256(buffer, last.byte_offset, deadline) != written or unit != checksum_unit(
        bytes.fromhex(written)
    ):
        raise MalformedBitstream(
            "the checksum differs: the stream is damaged",
            path=f"{last.path}.topology_data",
            bit_offset=8 * last.byte_offset,
            element="topology_data",
        )
    return True


def _sha256(buffer: memoryview, end: int, deadline: Deadline) -> str:
    """Hash a stream's start, piece by piece so that a mapped one never lies in memory as a whole."""
    digest, pages = hashlib.sha256(), PagesRead(buffer)
    for start in range(0, end, _PIECE_BYTES):
        deadline.check("nnr_bitstream", start)
        digest.update(buffer[start : min(end, start + _PIECE_BYTES)])
        pages.passed(start)
    return digest.hexdigest()


def _digest_in(buffer: memoryview, span: UnitSpan, limits: Limits) -> str | None:
    """Return the digest in a unit, as hexadecimal text, or None when it is no checksum."""
    if span.nnr_unit_type != NnrUnitType.NNR_TPL:
        return None
    try:
        # It is not inflated, and a hundred bytes long: what is larger is none.
        limits = replace(limits, max_topology_bytes=0)
        unit = parse_unit(buffer, span, SyntaxState(general_profile_idc=1), limits=limits)
        content = json.loads(bytes(unit.topology_data)) if isinstance(unit, TopologyUnit) else None
        digest = content.get(_KEY) if isinstance(content, dict) else None
        return (
            digest
            if isinstance(digest, str) and len(bytes.fromhex(digest)) == hashlib.sha256().digest_size
            else None
        )
    except (BitstreamError, ValueError, RecursionError):
        return None
