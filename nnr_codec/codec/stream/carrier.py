# SPDX-License-Identifier: Apache-2.0
"""Carrier units: topology units of unrecognised format that hold bytes outside the codec's arithmetic.

Opaque tensors, integers beyond int32, empty tensors, attachments, and large metadata travel losslessly in carriers. An item is
cut into pieces, one for each unit. A unit has a header (name, data type and shape of the item, offset of the piece) and the
bytes of the piece, shuffled by element size if that deflates better. Other conforming decoders skip such units.

A unit has one of two forms. The binary form holds the piece raw, or deflated by the unit's compression format. The text form
holds it in 7-bit characters, which takes one seventh more bytes. NNCodec 2.1.3 reads every topology as text that ends with a zero
byte, so it skips the text form, and fails at the binary form wherever it stands.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum

from nnr_codec.errors import NotEncodable
from nnr_codec.model import TopologyCompressionFormat, TopologyStorageFormat, TopologyUnit

_MAGIC = b"NNRC"
#: Prefixes of the text form: a piece as it is, and a deflated one.
_TEXT, _DEFLATED_TEXT = b"NNRC7:", b"NNRC7Z:"
#: Magic, kind, shuffle width, bytes of the tag, dimensions, bytes of the name, offset, total; little-endian.
_HEADER = struct.Struct("<4sBBBBHQQ")
#: Size of a piece: a multiple of every element size, and with the largest header less than 1 MiB.
PIECE_BYTES = (1 << 20) - (1 << 14)
#: Tensor pieces up to this size take the text form, which costs them 80 bytes at most.
_SMALL_PIECE_BYTES = 512
_SAMPLE_BYTES = 1 << 16
#: Pieces whose sample deflates to more than this fraction of its size are stored raw, to save time.
_DEFLATE_GAIN = 0.98
_SHUFFLE_WIDTHS = (2, 4, 8, 16)
_ZERO = "\u0080".encode()


class CarriedKind(IntEnum):
    """Kinds of items."""

    TENSOR = 1
    ATTACHMENT = 2
    METADATA = 3  # the value of one entry, whose key is the name
    DESCRIPTION = 4  # a source description that is too long for a plain topology unit
    TOPOLOGY = 5  # a serialised ONNX graph that is not in an ONNX topology unit
    POSITION = 6  # the name of the tensor that follows the named tensor in the source
    PADDING = 7
    NAMES = 8  # full names of the tensors that units call "0", "1", ...; zero bytes between them
    PATCH = 9  # elements of the named tensor; its unit follows and has zeros in their positions


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
        Size of an element, for shuffling.
    as_text : bool
        Use the text form for every piece, even if it is larger than the content.

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
        # The text form keeps the stream readable for NNCodec. Use it if it is no larger than the bytes.
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
    """Group the first bytes of all elements, then the second bytes, and so on."""
    return part if width == 1 else b"".join(part[index::width] for index in range(width))


def _to_text(octets: bytes) -> bytes:
    """Write bytes as 7-bit characters, most significant bits first. U+0080 replaces zero, which would end the text."""
    # Imported here, so that reading headers does not import NumPy.
    import numpy as np

    bits = np.unpackbits(np.frombuffer(octets, np.uint8))
    septets = np.pad(bits, (0, -bits.size % 7)).reshape(-1, 7)
    characters: bytes = (np.packbits(septets, axis=1) >> 1).tobytes()
    return characters.replace(b"\0", _ZERO)
