# SPDX-License-Identifier: Apache-2.0
"""Carrier units: topology units of unrecognised format that hold bytes outside the codec's arithmetic.

Opaque tensors, integers beyond int32, empty tensors, attachments, and large metadata travel losslessly in carriers. An item is
cut into pieces, and a unit holds one piece: a header that names the item, its data type, its shape and the piece's place, and
the piece's bytes, shuffled by element size where that deflates better. Other conforming decoders skip such units.

A unit has one of two forms. In binary form the topology data are the piece, raw or deflated by the unit's own compression
format. In text form they are the piece in 7-bit characters, which takes one seventh more. NNCodec 2.1.3 reads every topology
as text ended by a zero byte, so it skips the text form and stops at the binary form, wherever in the stream the unit stands.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from nnr_codec.errors import MalformedBitstream, NotEncodable
from nnr_codec.model import Limits, TopologyCompressionFormat, TopologyStorageFormat, TopologyUnit
from nnr_codec.syntax import inflate

_MAGIC = b"NNRC"
#: Prefixes of the text form: a piece as it is, and a deflated one.
_TEXT, _DEFLATED_TEXT = b"NNRC7:", b"NNRC7Z:"
#: Magic, kind, shuffle width, bytes of the tag, dimensions, bytes of the name, offset, total; little-endian.
_HEADER = struct.Struct("<4sBBBBHQQ")
_DIMENSION = struct.Struct("<Q")
#: Bytes of an item in one unit: with the largest header less than 1 MiB, and a multiple of every element size.
PIECE_BYTES = (1 << 20) - (1 << 14)
#: Tensor pieces up to this size take the text form, which costs them 80 bytes at most.
_SMALL_PIECE_BYTES = 512
_SAMPLE_BYTES = 1 << 16
#: A sample that deflates to more than this fraction of its size is not worth the time.
_DEFLATE_GAIN = 0.98
#: Product of the dimensions that a shape may have: NumPy computes strides even for arrays without elements.
_MAX_STRIDES = 1 << 48
_SHUFFLE_WIDTHS = (2, 4, 8, 16)
_SEPTET_BITS = [f"{septet:07b}" for septet in range(128)]
_ZERO = "\u0080".encode()


class CarriedKind(IntEnum):
    """Kinds of items."""

    TENSOR = 1
    ATTACHMENT = 2
    METADATA = 3  # the value of one entry, whose key is the name
    DESCRIPTION = 4  # a source description too long for a unit of its own
    TOPOLOGY = 5  # a serialised ONNX graph where the ONNX topology unit does not serve
    POSITION = 6  # the name of the tensor before which the named tensor stood in the source
    PADDING = 7
    NAMES = 8  # full names of the tensors that units call "0", "1", ...; zero bytes between them
    PATCH = 9  # elements of the named tensor, whose unit follows and has zeros in their places


@dataclass(frozen=True)
class Piece:
    """A piece of an item.

    Attributes
    ----------
    kind : CarriedKind
    name : str
    offset, total : int
        Place of the piece in the item, and the item's size, in bytes.
    content : bytes
    tag : str
        Data type of a tensor, in the first piece only.
    shape : tuple of int
        Likewise its dimensions.
    """

    kind: CarriedKind
    name: str
    offset: int
    total: int
    content: bytes
    tag: str = ""
    shape: tuple[int, ...] = ()


def carrier_units(
    kind: CarriedKind,
    name: str,
    content: bytes | memoryview,
    *,
    tag: str = "",
    shape: tuple[int, ...] = (),
    element_bytes: int = 1,
    as_text: bool = False,
) -> Iterator[TopologyUnit]:
    """Yield the units that carry one item.

    Parameters
    ----------
    kind : CarriedKind
    name : str
        At most 65535 bytes of UTF-8.
    content : bytes-like
    tag, shape
        Data type and dimensions of a tensor.
    element_bytes : int
        Size of an element; bytes are shuffled by it where that deflates better.
    as_text : bool
        Use the text form for every piece, also where it is larger than the content.

    Raises
    ------
    NotEncodable
        The name, the tag or the shape does not fit the header; ``path`` is the name.
    """
    content = memoryview(content).cast("B") if len(content) else memoryview(b"")
    for offset in range(0, max(len(content), 1), PIECE_BYTES):
        part = bytes(content[offset : offset + PIECE_BYTES])
        width = _shuffle_width(part, element_bytes)
        label = (tag, shape) if offset == 0 else ("", ())
        head = _header(kind, width, name, offset, len(content), *label)
        yield _unit(head + _shuffled(part, width), kind, as_text)


def is_carrier(unit: TopologyUnit) -> bool:
    """Return True for a topology unit that carries a piece."""
    return unit.storage_format == TopologyStorageFormat.NNR_TPL_UNREC and unit.topology_data.startswith(
        (_MAGIC, _TEXT, _DEFLATED_TEXT)
    )


def piece_of(unit: TopologyUnit, limits: Limits) -> Piece:
    """Read the piece in a unit.

    Raises
    ------
    MalformedBitstream
        The header or the text is damaged; without a place, which the caller adds.
    LimitExceeded
        A deflated text inflates to more than ``max_topology_bytes``.
    """
    octets = bytes(unit.topology_data)
    if octets.startswith(_DEFLATED_TEXT):
        octets = inflate(_from_text(octets[len(_DEFLATED_TEXT) :]), limits, "topology_data")
    elif octets.startswith(_TEXT):
        octets = _from_text(octets[len(_TEXT) :])
    try:
        magic, kind, width, tag_bytes, n_dimensions, name_bytes, offset, total = _HEADER.unpack_from(octets)
        at = _HEADER.size
        name = octets[at : at + name_bytes].decode()
        at += name_bytes
        tag = octets[at : at + tag_bytes].decode()
        at += tag_bytes
        shape = struct.unpack_from(f"<{n_dimensions}Q", octets, at)
        at += n_dimensions * _DIMENSION.size
        part = octets[at:]
        if magic != _MAGIC or at > len(octets):
            raise ValueError("the header is cut")
        if width not in (1, *_SHUFFLE_WIDTHS) or len(part) % width:
            raise ValueError(f"{len(part)} bytes shuffled by {width}")
        if math.prod(extent or 1 for extent in shape) > _MAX_STRIDES:
            raise ValueError("the shape is too large")
        return Piece(CarriedKind(kind), name, offset, total, _unshuffled(part, width), tag, shape)
    except (ValueError, struct.error) as error:
        raise malformed(f"a carrier unit cannot be read: {error}") from error


def malformed(message: str) -> MalformedBitstream:
    """Return an error about a carrier, without its place."""
    return MalformedBitstream(message, element="topology_data", clause="format 2")


def _header(
    kind: CarriedKind, width: int, name: str, offset: int, total: int, tag: str, shape: tuple[int, ...]
) -> bytes:
    try:
        name_octets, tag_octets = name.encode(), tag.encode()
        fixed = _HEADER.pack(
            _MAGIC, kind, width, len(tag_octets), len(shape), len(name_octets), offset, total
        )
        return fixed + name_octets + tag_octets + struct.pack(f"<{len(shape)}Q", *shape)
    except (struct.error, UnicodeEncodeError) as error:
        raise NotEncodable(
            f"the name, type or shape of carried bytes does not fit: {error}", path=repr(name)[:100]
        ) from error


def _unit(body: bytes, kind: CarriedKind, as_text: bool) -> TopologyUnit:
    is_bulk = kind == CarriedKind.TENSOR and len(body) > _SMALL_PIECE_BYTES
    if as_text or not is_bulk:
        deflated = zlib.compress(body, 9)
        gains = len(deflated) + 1 < len(body)
        text = _DEFLATED_TEXT + _to_text(deflated) if gains else _TEXT + _to_text(body)
        # The text form pays where it is no larger than the bytes themselves, and keeps the stream readable for NNCodec.
        if as_text or len(body) <= _SMALL_PIECE_BYTES or len(text) <= len(body):
            return TopologyUnit(storage_format=TopologyStorageFormat.NNR_TPL_UNREC, topology_data=text)
    return TopologyUnit(
        storage_format=TopologyStorageFormat.NNR_TPL_UNREC,
        compression_format=_compression_format(body),
        topology_data=body,
    )


def _compression_format(body: bytes) -> TopologyCompressionFormat:
    sample = body[:_SAMPLE_BYTES]
    deflates = len(zlib.compress(sample, 1)) < _DEFLATE_GAIN * len(sample)
    return TopologyCompressionFormat.NNR_DFL if deflates else TopologyCompressionFormat.NNR_PT_RAW


def _shuffle_width(part: bytes, element_bytes: int) -> int:
    if element_bytes not in _SHUFFLE_WIDTHS or len(part) % element_bytes:
        return 1
    sample = part[: _SAMPLE_BYTES // element_bytes * element_bytes]
    widths = (1, element_bytes)
    return min(widths, key=lambda width: len(zlib.compress(_shuffled(sample, width), 1)))


def _shuffled(part: bytes, width: int) -> bytes:
    """Put the elements' first bytes before their second bytes, and so on."""
    return part if width == 1 else b"".join(part[index::width] for index in range(width))


def _unshuffled(part: bytes, width: int) -> bytes:
    if width == 1:
        return part
    plane = len(part) // width
    elements = bytearray(len(part))
    for index in range(width):
        elements[index::width] = part[index * plane : (index + 1) * plane]
    return bytes(elements)


def _to_text(octets: bytes) -> bytes:
    """Write bytes as 7-bit characters, most significant bits first; U+0080 stands for zero, which would end the text."""
    # Imported here because headers are read without NumPy.
    import numpy as np

    bits = np.unpackbits(np.frombuffer(octets, np.uint8))
    septets = np.pad(bits, (0, -bits.size % 7)).reshape(-1, 7)
    characters: bytes = (np.packbits(septets, axis=1) >> 1).tobytes()
    return characters.replace(b"\0", _ZERO)


def _from_text(text: bytes) -> bytes:
    # An integer is made from binary digits in linear time.
    characters = text.replace(_ZERO, b"\0")
    if not characters.isascii():
        raise malformed("the text of a carrier unit has characters beyond 7 bits")
    n_bytes = 7 * len(characters) // 8
    bits = "".join(map(_SEPTET_BITS.__getitem__, characters))[: 8 * n_bytes]
    return int(bits, 2).to_bytes(n_bytes, "big") if n_bytes else b""
