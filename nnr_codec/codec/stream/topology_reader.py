# SPDX-License-Identifier: Apache-2.0
"""Reader of topology units: source description, graph, attachments and carried tensors, as native code assembles them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from nnr_codec import _native
from nnr_codec.codec.stream.carrier import CarriedKind
from nnr_codec.codec.stream.faults import error_of
from nnr_codec.codec.stream.source_description import SourceDescription
from nnr_codec.codec.stream.type_rules import TypeRules
from nnr_codec.errors import MalformedBitstream
from nnr_codec.model import Limits, TopologyStorageFormat

#: A complete carried item. Its ``content`` is writable memory that the item owns; it is empty if nobody wants it.
CarriedItem = _native.CarriedItem


@dataclass(frozen=True, slots=True)
class SourceOfUnits:
    """Data types of the tensors of data units, and patches by name, as the topology units before them say."""

    types: TypeRules
    patches: dict[str, CarriedItem]

    @property
    def is_plain(self) -> bool:
        """True if nothing is said: the tensors are what is coded."""
        return not self.patches and self.types.is_trivial()


class TopologyReader:
    """Collector of the contents of topology units, which it gets in stream order.

    Parameters
    ----------
    limits : Limits
    stream_bytes : int
        Size of the whole stream.
    wanted : collection of str, optional
        Tensors whose bytes are needed; by default all.

    Attributes
    ----------
    description : SourceDescription
        Empty until it is read.
    topology : bytes or None
        The first ONNX graph.
    attachments : dict of str to bytes
    names : dict of str to str
        Full names by short name; empty if the units have full names.
    followers : dict of str to str
        For tensors that are not in source order: name of the next tensor in the source, by tensor name.
    patches : dict of str to CarriedItem
        Patches by name of the tensor, whose unit follows.
    """

    def __init__(self, limits: Limits, stream_bytes: int, wanted: Collection[str] | None = None) -> None:
        names = None if wanted is None else [name.encode("utf-8", "surrogatepass") for name in wanted]
        self._source = _native.SourceReader(limits, stream_bytes, names)
        self._stream_bytes = stream_bytes
        self._is_described = False
        self.description = SourceDescription()
        self.topology: bytes | None = None
        self.attachments: dict[str, bytes] = {}
        self.names: dict[str, str] = {}
        self.followers: dict[str, str] = {}
        self.patches: dict[str, CarriedItem] = {}

    def add(
        self,
        content: bytes | memoryview,
        storage_format: int,
        place: tuple[int, int],
        total_elements: int,
    ) -> CarriedItem | None:
        """Add the next unit. Return the carried tensor that it completes, or None.

        Parameters
        ----------
        content : bytes-like
            Inflated.
        storage_format : int
        place : (int, int)
            Number and byte offset of the unit.
        total_elements : int
            Elements of the data units so far.

        Raises
        ------
        MalformedBitstream, LimitExceeded
        """
        if storage_format == TopologyStorageFormat.NNR_TPL_ONNX and self.topology is None:
            self.topology = bytes(content)
        if storage_format != TopologyStorageFormat.NNR_TPL_UNREC:
            return None
        step = self._source.add(content, *place, total_elements)
        if isinstance(step, _native.Fault):
            raise error_of(step)
        if not self._is_described and (described := self._source.description) is not None:
            self.description = SourceDescription.announcing(*described, TypeRules(self._source.types))
            self._is_described = True
        if step is None or step.kind == CarriedKind.TENSOR:
            return step
        self._take(step)
        return None

    def source_of(self, batch: _native.UnitBatch) -> SourceOfUnits:
        """Return what is said of the units that follow, and hand over their patches."""
        claimed = self.patches.keys() & set(batch.names) if self.patches else ()
        return SourceOfUnits(self.description.dtypes, {name: self.patches.pop(name) for name in claimed})

    @property
    def open_tensor(self) -> str | None:
        """Name of the carried tensor of which more pieces follow."""
        return self._source.open_tensor

    def finish(self) -> None:
        """Check that nothing is missing at the end of the stream.

        Raises
        ------
        MalformedBitstream
        """
        fault = self._source.finish()
        if fault is not None:
            raise error_of(fault)
        self.description.check_complete("nnr_bitstream", 8 * self._stream_bytes)

    def check_followers(self, names: set[str]) -> None:
        """Check that position items name tensors of the stream only.

        Raises
        ------
        MalformedBitstream
        """
        for name, follower in self.followers.items():
            for unknown in {name, follower} - names:
                raise MalformedBitstream(
                    f"the stream places {name[:64]!r} before {follower[:64]!r}, and {unknown[:64]!r} is not in it",
                    path="nnr_bitstream",
                    bit_offset=8 * self._stream_bytes,
                    element="topology_data",
                )

    def _take(self, item: CarriedItem) -> None:
        if item.kind == CarriedKind.METADATA:
            if not self.description.add_metadata(item.name, _text(item)):
                raise fault_in(
                    item, f"the source description announces no carried metadata {item.name[:64]!r}"
                )
        elif item.kind == CarriedKind.ATTACHMENT:
            self.attachments[item.name] = bytes(item.content)
        elif item.kind == CarriedKind.TOPOLOGY and self.topology is None:
            self.topology = bytes(item.content)
        elif item.kind == CarriedKind.POSITION:
            if _text(item) == item.name:
                raise fault_in(item, f"{item.name[:64]!r} is placed before itself")
            self.followers[item.name] = _text(item)
        elif item.kind == CarriedKind.NAMES:
            self.names = {str(index): name for index, name in enumerate(self._source.full_names)}
        elif item.kind == CarriedKind.PATCH:
            self.patches[item.name] = item


def fault_in(item: CarriedItem, message: str) -> MalformedBitstream:
    """Return an error about a carried item, with the place of its first piece."""
    return MalformedBitstream(
        message,
        path=f"nnr_unit[{item.unit}].topology_data",
        bit_offset=item.bit_offset,
        element="topology_data",
        clause="format 2",
    )


def _text(item: CarriedItem) -> str:
    try:
        return bytes(item.content).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise fault_in(item, f"a carried text is not UTF-8: {error}") from error


def in_source_order(tensors: dict[str, Any], followers: Mapping[str, str]) -> dict[str, Any]:
    """Move tensors that are not in source order before their followers."""
    moved = {follower: name for name, follower in followers.items() if {name, follower} <= tensors.keys()}
    if not moved:
        return tensors
    ordered: dict[str, Any] = {}
    for name, tensor in tensors.items():
        if name in moved:
            ordered[moved[name]] = tensors[moved[name]]
        if name not in ordered:
            ordered[name] = tensor
    return ordered
