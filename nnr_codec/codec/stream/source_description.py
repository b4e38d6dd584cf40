# SPDX-License-Identifier: Apache-2.0
"""Description of the model file that a stream was made from.

The format has float32 values and 32-bit integers only. A topology unit of unrecognised format, which other conforming decoders
ignore, holds the kind of file, its metadata and the data types of the tensors as one JSON object. The unit is small for any
model: types are a few rules on names (`type_rules`), and carrier units hold long metadata. Empty tensors, and tensors
without arithmetic, are carried with their own type and shape and need no description.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nnr_codec._native import DataUnit
from nnr_codec.codec.stream.carrier import CarriedKind, carrier_units
from nnr_codec.codec.stream.type_rules import TypeRules
from nnr_codec.errors import MalformedBitstream, NotEncodable
from nnr_codec.model import DecompressedDataFormat, Limits, PayloadType, TopologyStorageFormat, TopologyUnit
from nnr_codec.model.data_types import OUTPUT_FORMATS

_KEY = "nnr_codec.source"
#: Longer metadata values, in characters, go into carrier units.
_LONG_VALUE = 1 << 12
#: Longer descriptions, in bytes, go deflated into carrier units.
_LONG_DESCRIPTION = 1 << 15
_MAX_BYTES = Limits().max_topology_bytes or 0


@dataclass
class SourceDescription:
    """Properties of a model file for which the standard has no element.

    Attributes
    ----------
    kind : str
        "safetensors", "npz", "pytorch", "onnx", or "" for arrays from memory.
    metadata : dict of str to str
        Metadata of the file.
    dtypes : TypeRules
        Data types by tensor name, in safetensors' spelling, for types other than F32 and I32; marks scalars.
    """

    kind: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    dtypes: TypeRules = field(default_factory=TypeRules)
    _awaited: set[str] = field(default_factory=set, repr=False, compare=False)

    def is_trivial(self) -> bool:
        """Return True when there is nothing to describe."""
        return not (self.kind or self.metadata) and self.dtypes.is_trivial()

    def to_units(self, *, text_form: bool = False) -> Iterator[TopologyUnit]:
        """Yield the units that hold this: the description, and carriers for long metadata.

        Raises
        ------
        NotEncodable
            The description is larger than a decoder reads at its default limits.
        """
        carried = {key for key, value in self.metadata.items() if _is_carried(key, value)}
        short = {key: None if key in carried else value for key, value in self.metadata.items()}
        content: dict[str, object] = {"kind": self.kind} if self.kind else {}
        if short:
            content["metadata"] = short
        content |= self.dtypes.to_json()
        text = json.dumps({_KEY: content}, separators=(",", ":")).encode()
        if len(text) > _MAX_BYTES:
            raise NotEncodable(
                f"the description of the source has {len(text)} bytes, and a decoder reads {_MAX_BYTES} at its default limits: "
                f"{len(short)} metadata entries, {self.dtypes.n_names} tensors of exceptional types",
                path="metadata" if len(json.dumps(short)) > len(text) // 2 else "dtypes",
            )
        if len(text) > _LONG_DESCRIPTION:
            yield from carrier_units(CarriedKind.DESCRIPTION, "", text, as_text=text_form)
        else:
            yield TopologyUnit(storage_format=TopologyStorageFormat.NNR_TPL_UNREC, topology_data=text)
        for key in self.metadata:
            if key in carried:
                octets = self.metadata[key].encode("utf-8", "surrogatepass")
                yield from carrier_units(CarriedKind.METADATA, key, octets, as_text=text_form)

    @classmethod
    def announcing(
        cls, kind: str, metadata: Mapping[str, str | None], dtypes: TypeRules
    ) -> SourceDescription:
        """Return the description that a stream has; metadata whose value is None follow in carrier units."""
        awaited = {key for key, value in metadata.items() if value is None}
        return cls(kind, {key: value or "" for key, value in metadata.items()}, dtypes, awaited)

    def add_metadata(self, key: str, value: str) -> bool:
        """Set the value of an entry that is in a carrier unit. False if the description does not announce this entry."""
        if key not in self._awaited:
            return False
        self._awaited.remove(key)
        self.metadata[key] = value
        return True

    def check_complete(self, path: str, bit_offset: int) -> None:
        """Check that no announced metadata is missing.

        Raises
        ------
        MalformedBitstream
        """
        if self._awaited:
            raise MalformedBitstream(
                f"the carried metadata {min(self._awaited)[:64]!r} is missing",
                path=path,
                bit_offset=bit_offset,
                element="topology_data",
            )


def _is_carried(key: str, value: str) -> bool:
    # The key becomes the name of a carried item, whose length is limited.
    return (
        len(value) > _LONG_VALUE and len(key.encode("utf-8", "replace")) <= _LONG_VALUE and key.isprintable()
    )


def describe(
    tensors: Mapping[str, tuple[str, tuple[int, ...]]], kind: str, metadata: Mapping[str, str]
) -> SourceDescription:
    """Return the description of tensors given as name to (data type, shape).

    Empty tensors need no rule, because their carrier units have the type.
    """
    coded = {name: (dtype, shape) for name, (dtype, shape) in tensors.items() if 0 not in shape}
    return SourceDescription(kind, dict(metadata), TypeRules.of(coded))


def dtype_tag(name: str, unit: DataUnit, description: SourceDescription) -> str:
    """Return the data type of a tensor in its source, from the description, the output format or the payload type.

    Clause: format 3, 4
    """
    if name in description.dtypes:
        return description.dtypes[name]
    if unit.output_format is not None:
        return OUTPUT_FORMATS[DecompressedDataFormat(unit.output_format)][0]
    return "I32" if unit.payload_type == PayloadType.NNR_PT_INT else "F32"
