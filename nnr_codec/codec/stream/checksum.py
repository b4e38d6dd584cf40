# SPDX-License-Identifier: Apache-2.0
"""Checksum of a stream, in a unit that other conforming decoders ignore.

The last unit is a topology unit of unrecognised format. Its text is the SHA-256 of all bytes before it. Verification also
rebuilds the unit and compares it, which finds damage to the unit itself. A checksum finds damage; it does not authenticate
the stream.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from nnr_codec import _native
from nnr_codec.codec.stream.deadline import Deadline
from nnr_codec.codec.stream.faults import error_of
from nnr_codec.codec.stream.input import PagesRead
from nnr_codec.errors import BitstreamError, LimitExceeded, MalformedBitstream
from nnr_codec.model import Limits, NnrUnitType, TopologyStorageFormat, TopologyUnit
from nnr_codec.syntax import SyntaxState, UnitSpan, build_unit, parse_unit

_KEY = "nnr_codec.sha256"
_PIECE_BYTES = 1 << 22
#: The checksum unit of about 110 bytes lies within this distance of the end.
_TAIL_BYTES = 1024


def checksum_unit(digest: bytes) -> bytes:
    """Return the checksum unit for the SHA-256 of all bytes before it."""
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
        True to refuse a stream without a checksum.

    Returns
    -------
    bool
        True if the stream has a checksum.

    Raises
    ------
    MalformedBitstream
        The checksum differs, or a required checksum is missing.
    """
    if not required and _KEY.encode() not in bytes(buffer[-_TAIL_BYTES:]):
        # Shortcut: the last unit cannot be a checksum. Walking over all units would take 1 % of the decoding time.
        return False
    last = _native.StreamWalk(buffer, limits, {}).last_unit()
    if isinstance(last, _native.Fault):
        error = error_of(last)
        # The decoder will report this fault, unless another comes earlier in the stream.
        if required or isinstance(error, LimitExceeded):
            raise error
        return False
    span = UnitSpan(
        last.index, last.byte_offset, last.size_bytes, last.type, 4 if buffer[last.byte_offset] & 0x80 else 2
    )
    written = _digest_in(buffer, span, limits)
    if written is None:
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
            path=f"{span.path}.topology_data",
            bit_offset=8 * last.byte_offset,
            element="topology_data",
        )
    return True


def _sha256(buffer: memoryview, end: int, deadline: Deadline) -> str:
    """Hash the first bytes of a stream in pieces, so that a mapped stream need not fit in memory."""
    digest, pages = hashlib.sha256(), PagesRead(buffer)
    for start in range(0, end, _PIECE_BYTES):
        deadline.check("nnr_bitstream", start)
        digest.update(buffer[start : min(end, start + _PIECE_BYTES)])
        pages.passed(start)
    return digest.hexdigest()


def _digest_in(buffer: memoryview, span: UnitSpan, limits: Limits) -> str | None:
    """Return the hexadecimal digest in a unit; None if the unit is no checksum."""
    if span.nnr_unit_type != NnrUnitType.NNR_TPL:
        return None
    try:
        # A checksum unit is not deflated, so deny inflation.
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
