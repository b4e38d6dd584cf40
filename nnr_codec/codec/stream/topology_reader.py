# SPDX-License-Identifier: Apache-2.0
"""Reader of topology units: source description, graph, attachments and carried tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nnr_codec.codec.stream.carrier import CarriedKind, is_carrier, malformed
from nnr_codec.codec.stream.carrier_reader import CarriedItem, CarrierReader, limit, located
from nnr_codec.codec.stream.source_description import SourceDescription
from nnr_codec.errors import LimitExceeded, MalformedBitstream
from nnr_codec.model import Limits, TopologyStorageFormat, TopologyUnit
from nnr_codec.syntax import UnitSpan


class TopologyReader:
    """Collector of the contents of topology units, which it gets in stream order.

    Parameters
    ----------
    limits : Limits
    stream_bytes : int
        Size of the whole stream.
    keeps : callable, optional
        Predicate of a tensor's name: True if its bytes are needed; by default always.

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

    def __init__(self, limits: Limits, stream_bytes: int, keeps: Callable[[str], bool] | None = None) -> None:
        self.description = SourceDescription()
        self.topology: bytes | None = None
        self.attachments: dict[str, bytes] = {}
        self.names: dict[str, str] = {}
        self.followers: dict[str, str] = {}
        self.patches: dict[str, CarriedItem] = {}
        self._is_described = False

        def keeps_item(kind: CarriedKind, name: str) -> bool:
            if kind in (CarriedKind.TENSOR, CarriedKind.PATCH):
                return keeps is None or keeps(name)
            return kind != CarriedKind.PADDING

        self._carriers = CarrierReader(limits, stream_bytes, keeps_item)
        self._stream_bytes = stream_bytes
        self._limits = limits

    def add(self, unit: TopologyUnit, span: UnitSpan, total_elements: int) -> CarriedItem | None:
        """Add the next unit. Return the carried tensor that it completes, or None.

        Parameters
        ----------
        unit : TopologyUnit
        span : UnitSpan
        total_elements : int
            Elements of the data units so far.

        Raises
        ------
        MalformedBitstream, LimitExceeded
        """
        path, bit_offset = span.path, 8 * span.byte_offset
        if is_carrier(unit):
            item = self._carriers.add(unit, path, bit_offset, total_elements)
            if item is None or item.kind == CarriedKind.TENSOR:
                return item
            self._take(item)
        elif unit.storage_format == TopologyStorageFormat.NNR_TPL_ONNX:
            if self.topology is None:
                self.topology = bytes(unit.topology_data)
        elif not self._is_described:
            description = SourceDescription.from_unit(unit, path=path, bit_offset=bit_offset)
            if description is not None:
                self.description, self._is_described = description, True
        return None

    @property
    def is_plain(self) -> bool:
        """True if nothing is said about types and values of tensors: they are what is coded."""
        return not self.patches and self.description.dtypes.is_trivial()

    @property
    def open_tensor(self) -> str | None:
        """Name of the carried tensor of which more pieces follow."""
        return self._carriers.open_tensor

    def finish(self) -> None:
        """Check that nothing is missing at the end of the stream.

        Raises
        ------
        MalformedBitstream
        """
        self._carriers.finish()
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
        try:
            if item.kind == CarriedKind.DESCRIPTION and not self._is_described:
                self.description = SourceDescription.from_text(bytes(item.content))
                self._is_described = True
            elif item.kind == CarriedKind.METADATA:
                self.description.add_metadata(item.name, item.text)
            elif item.kind == CarriedKind.ATTACHMENT:
                self.attachments[item.name] = bytes(item.content)
            elif item.kind == CarriedKind.TOPOLOGY and self.topology is None:
                self.topology = bytes(item.content)
            elif item.kind == CarriedKind.NAMES:
                self.names = self._checked_names(item.text)
            elif item.kind == CarriedKind.POSITION:
                if item.text == item.name:
                    raise malformed(f"{item.name[:64]!r} is placed before itself")
                self.followers[item.name] = item.text
            elif item.kind == CarriedKind.PATCH:
                self.patches[item.name] = item
        except (MalformedBitstream, LimitExceeded) as error:
            raise located(error, item.path, item.payload_bit_offset) from error.__cause__

    def _checked_names(self, text: str) -> dict[str, str]:
        limits = self._limits
        if limits.max_names is not None and text.count("\0") >= limits.max_names:
            raise limit(f"a list of {text.count(chr(0)) + 1} names, and max_names is {limits.max_names}")
        names = text.split("\0")
        if len(set(names)) < len(names):
            raise malformed("the list of full names has a name twice")
        longest = max(len(name.encode("utf-8", "surrogatepass")) for name in names)
        if limits.max_name_bytes is not None and longest > limits.max_name_bytes:
            raise limit(f"a full name of {longest} bytes, and max_name_bytes is {limits.max_name_bytes}")
        return {str(index): name for index, name in enumerate(names)}


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
