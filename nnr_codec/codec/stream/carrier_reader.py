# SPDX-License-Identifier: Apache-2.0
"""Assembly of carried items from their pieces."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from nnr_codec.codec.stream.carrier import CarriedKind, Piece, malformed, piece_of
from nnr_codec.errors import BitstreamError, LimitExceeded
from nnr_codec.model import Limits, TopologyUnit
from nnr_codec.model.data_types import DATA_TYPES


@dataclass(frozen=True, slots=True)
class CarriedItem:
    """Complete carried item.

    Attributes
    ----------
    kind : CarriedKind
    name : str
    content : bytes-like
        Empty if the caller does not need it.
    tag, shape
        Data type and dimensions of a tensor.
    n_bytes : int
        Size of the content.
    path : str
        Unit of the first piece.
    payload_bit_offset : int
        Offset of that unit in the stream.
    """

    kind: CarriedKind
    name: str
    content: bytes | bytearray
    tag: str
    shape: tuple[int, ...]
    n_bytes: int
    path: str
    payload_bit_offset: int

    @property
    def n_elements(self) -> int:
        """Size in elements of 4 bytes, as `Limits` counts decoded bytes."""
        return -(-self.n_bytes // 4)

    @property
    def text(self) -> str:
        """The content as UTF-8 text.

        Raises
        ------
        MalformedBitstream
            The content is not UTF-8.
        """
        try:
            return bytes(self.content).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise located(
                malformed(f"a carried text is no UTF-8: {error}"), self.path, self.payload_bit_offset
            ) from error


class CarrierReader:
    """Assembler of items from pieces.

    The pieces of an item are in order, with no piece of another item between them. Sizes are checked against the
    limits before anything is allocated.

    Parameters
    ----------
    limits : Limits
    stream_bytes : int
        Size of the whole stream.
    keeps : callable
        Predicate of kind and name: True if the content of the item is needed.
    """

    def __init__(
        self, limits: Limits, stream_bytes: int, keeps: Callable[[CarriedKind, str], bool] | None = None
    ) -> None:
        self._limits = limits
        self._stream_bytes = stream_bytes
        self._keeps = keeps
        self._open: Piece | None = None  # the first piece of an item that is not complete
        self._place = ("nnr_bitstream", 0)
        self._received = 0
        self._content = bytearray()
        self._seen: set[tuple[CarriedKind, str]] = set()
        self.n_bytes = 0  #: Carried bytes so far.

    def add(
        self, unit: TopologyUnit, path: str, bit_offset: int, total_elements: int = 0
    ) -> CarriedItem | None:
        """Add the next carrier unit. Return the item that it completes, or None.

        Parameters
        ----------
        unit : TopologyUnit
        path, bit_offset
            Position of the unit in the stream.
        total_elements : int
            Elements of the data units so far, which count towards the same limits.

        Raises
        ------
        MalformedBitstream
            The unit is damaged, or its piece is not the next one.
        LimitExceeded
            The item, or the items so far together, exceed a limit.
        """
        path = f"{path}.topology_data"
        try:
            piece = piece_of(unit, self._limits)
            if self._open is None:
                self._begin(piece, total_elements)
                self._open, self._place = piece, (path, bit_offset)
            self._check(piece, self._open)
        except BitstreamError as error:
            raise located(error, path, bit_offset) from error.__cause__
        if self._keeps is None or self._keeps(piece.kind, piece.name):
            self._content += piece.content
        self._received += len(piece.content)
        if self._received < piece.total:
            return None
        first, self._open = self._open, None
        content, self._content, self._received = self._content, bytearray(), 0
        self._seen.add((first.kind, first.name))
        return CarriedItem(first.kind, first.name, content, first.tag, first.shape, first.total, *self._place)

    @property
    def open_tensor(self) -> str | None:
        """Name of the tensor of which more pieces follow."""
        is_tensor = self._open is not None and self._open.kind == CarriedKind.TENSOR
        return self._open.name if self._open is not None and is_tensor else None

    def finish(self) -> None:
        """Check that no item is incomplete at the end of the stream.

        Raises
        ------
        MalformedBitstream
        """
        if self._open is not None:
            wrong = f"{_named(self._open)} ends after {self._received} of {self._open.total} bytes: a piece is missing"
            raise located(malformed(wrong), *self._place)

    def _begin(self, piece: Piece, total_elements: int) -> None:
        if (piece.kind, piece.name) in self._seen:
            raise malformed(f"{_named(piece)} is carried twice: a piece is repeated")
        if piece.offset:
            raise malformed(f"{_named(piece)} begins at byte {piece.offset}: a piece is missing")
        if piece.kind == CarriedKind.TENSOR:
            self._check_shape(piece)
        limits = self._limits
        if limits.max_name_bytes is not None and len(piece.name.encode()) > limits.max_name_bytes:
            raise limit(f"the name of a carried item is beyond max_name_bytes={limits.max_name_bytes}")
        elements = -(-piece.total // 4)
        total = total_elements + -(-(self.n_bytes + piece.total) // 4)
        if limits.max_tensor_elements is not None and elements > limits.max_tensor_elements:
            raise limit(
                f"{_named(piece)} has {piece.total} bytes, and max_tensor_elements is {limits.max_tensor_elements}"
            )
        if limits.max_total_elements is not None and total > limits.max_total_elements:
            raise limit(
                f"decoded bytes for {total} elements, and max_total_elements is {limits.max_total_elements}"
            )
        ratio, floor = limits.max_expansion_ratio, limits.expansion_floor_bytes
        if ratio is not None and 4 * total > max(floor, ratio * self._stream_bytes):
            raise limit(
                f"{4 * total} bytes from a stream of {self._stream_bytes}, and max_expansion_ratio is {ratio}"
            )
        self.n_bytes += piece.total

    def _check_shape(self, piece: Piece) -> None:
        bound = self._limits.max_dimensions
        if bound is not None and len(piece.shape) > bound:
            raise limit(f"a carried tensor has {len(piece.shape)} dimensions, and max_dimensions is {bound}")
        known = DATA_TYPES.get(piece.tag)
        if known is not None and known.size_bytes * math.prod(piece.shape) != piece.total:
            raise malformed(f"{_named(piece)} has {piece.total} bytes for shape {piece.shape} of {piece.tag}")

    def _check(self, piece: Piece, first: Piece) -> None:
        if (piece.kind, piece.name) != (first.kind, first.name):
            raise malformed(
                f"{_named(first)} is followed by another item after {self._received} bytes: a piece is missing"
            )
        if piece.total != first.total:
            raise malformed(f"pieces of {_named(piece)} differ in the total, {first.total} and {piece.total}")
        if piece.offset != self._received:
            wrong = "missing" if piece.offset > self._received else "repeated"
            raise malformed(
                f"a piece of {_named(piece)} lies at byte {piece.offset} instead of {self._received}: a piece is {wrong}"
            )
        if self._received + len(piece.content) > piece.total or not (piece.content or piece.total == 0):
            raise malformed(f"a piece of {_named(piece)} does not fit its total of {piece.total} bytes")


def located(error: BitstreamError, path: str, bit_offset: int) -> BitstreamError:
    """Add path and bit offset to an error that has none."""
    error.path = path if error.path is None else error.path
    error.bit_offset = bit_offset if error.bit_offset is None else error.bit_offset
    return error


def limit(message: str) -> LimitExceeded:
    """Return an error about a limit, without path and bit offset."""
    return LimitExceeded(message, element="topology_data", clause="format 2")


def _named(piece: Piece) -> str:
    return f"carried {piece.kind.name.lower()} {piece.name[:64]!r}"
