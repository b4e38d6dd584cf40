# SPDX-License-Identifier: Apache-2.0
"""Everything in a stream that is not coded: opening units, carried tensors, and stored bytes where coding does not pay."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.tensor_input import (
    Tensors,
    TypeAndShape,
    as_codec_array,
    element_bytes,
    stored_bytes,
)
from nnr_codec.codec.stream.carrier import CarriedKind, carrier_units
from nnr_codec.codec.stream.source_description import describe
from nnr_codec.codec.stream.tensor_patch import TensorPatch
from nnr_codec.errors import NotEncodable
from nnr_codec.model import (
    DataUnit,
    Limits,
    PayloadType,
    TopologyCompressionFormat,
    TopologyStorageFormat,
    TopologyUnit,
)
from nnr_codec.model.data_types import DATA_TYPES
from nnr_codec.transform import Block

_MAX_TOPOLOGY_BYTES = Limits().max_topology_bytes or 0
#: A data unit may be this much larger than the stored elements: about what a carrier unit takes beside them.
_SLACK_BYTES = 64
#: Payloads from this size on leave no room in a unit.
_MAX_PAYLOAD_BYTES = (1 << 31) - (1 << 16)


@dataclass(frozen=True)
class CarriedTensor:
    """A tensor to be carried: its array, and the type and shape that it has in its source."""

    name: str
    array: NDArray[Any]
    tag: str
    shape: tuple[int, ...]


class Carriage:
    """What travels beside the coded tensors of one stream.

    Parameters
    ----------
    tensors : mapping of str to array
    described : dict of str to (tag, shape)
        Types and shapes of all tensors, in order.
    config : EncoderConfig

    Attributes
    ----------
    reference_list : dict of str to int or None
        Index of each name in the reference list, where the stream has one.
    """

    def __init__(
        self, tensors: Tensors, described: Mapping[str, TypeAndShape], config: EncoderConfig
    ) -> None:
        self.tensors = tensors
        self.described = described
        self._config = config
        self.reference_list: dict[str, int] | None = None
        # The format has no list of one name.
        if config.reference_list and len(described) > 1:
            self.reference_list = {name: index for index, name in enumerate(described)}
        self._short_names: dict[str, str] = {}
        if config.short_names:
            self._short_names = {name: str(index) for index, name in enumerate(described)}

    def opening(
        self,
        kind: str,
        metadata: Mapping[str, str],
        topology: bytes | None,
        attachments: Mapping[str, bytes],
    ) -> Iterator[TopologyUnit]:
        """Yield the topology units that precede the tensors."""
        as_text = self._config.peer_compatible
        if self.reference_list is not None:
            yield TopologyUnit(
                storage_format=TopologyStorageFormat.NNR_TPL_REFLIST,
                topology_elem_ids=tuple(self.reference_list),
            )
        description = describe(self.described, kind, metadata)
        if self._config.describe_source and not description.is_trivial():
            yield from description.to_units(text_form=as_text)
        if self._short_names:
            names = "\0".join(self._short_names).encode()
            yield from carrier_units(CarriedKind.NAMES, "", names, as_text=as_text)
        if topology is not None:
            if as_text or len(topology) > _MAX_TOPOLOGY_BYTES:
                yield from carrier_units(CarriedKind.TOPOLOGY, "", topology, as_text=as_text)
            else:
                yield TopologyUnit(
                    storage_format=TopologyStorageFormat.NNR_TPL_ONNX,
                    compression_format=TopologyCompressionFormat.NNR_DFL,
                    topology_data=bytes(topology),
                )
        for name in attachments:
            yield from carrier_units(CarriedKind.ATTACHMENT, name, attachments[name], as_text=as_text)

    def units(self, tensor: CarriedTensor) -> Iterator[TopologyUnit]:
        """Yield the carrier units of a tensor."""
        return carrier_units(
            CarriedKind.TENSOR,
            tensor.name,
            stored_bytes(tensor.name, tensor.array, tensor.tag),
            tag=tensor.tag,
            shape=tensor.shape,
            element_bytes=element_bytes(tensor.array, tensor.tag),
            as_text=self._config.peer_compatible,
        )

    def patch_units(self, name: str, patch: TensorPatch) -> Iterator[TopologyUnit]:
        """Yield the carrier units of a tensor's patch."""
        return carrier_units(CarriedKind.PATCH, name, patch.to_bytes(), as_text=self._config.peer_compatible)

    def if_larger(
        self, name: str, unit: DataUnit, patch: TensorPatch | None = None
    ) -> CarriedTensor | DataUnit | None:
        """Return what takes the place of a data unit that is larger, with its patch, than the tensor's stored elements.

        Returns
        -------
        CarriedTensor, DataUnit or None
            A raw float unit for a float32 tensor, else its stored bytes; None for a unit that is not larger.
        """
        tag, shape = self.described[name]
        size_bytes = DATA_TYPES[tag].size_bytes * math.prod(shape)
        n_bytes = len(unit.payload)
        if patch is not None:
            n_bytes += sum(len(carrier.topology_data) for carrier in self.patch_units(name, patch))
        if n_bytes <= min(size_bytes + size_bytes // 100 + _SLACK_BYTES, _MAX_PAYLOAD_BYTES):
            return None
        value = self.tensors[name]
        if isinstance(value, Block):
            return None
        array = as_codec_array(name, value, tag)
        if tag != "F32" or size_bytes > _MAX_PAYLOAD_BYTES:
            return CarriedTensor(name, array, tag, shape)
        header = replace(
            unit.header,
            payload_type=PayloadType.NNR_PT_RAW_FLOAT,
            node_id=None,
            parent=None,
            codebook=None,
            dq_flag=False,
            scan_order=0,
            entry_points=(),
        )
        return DataUnit(header=header, payload=array.astype("<f4").tobytes())

    def referring(self, unit: DataUnit) -> DataUnit:
        """Return a data unit with indices or short names instead of the full ones, where the stream has a list of these.

        Raises
        ------
        NotEncodable
            The unit is a block, whose other tensors are not in the list.
        """
        listed = self._short_names if self.reference_list is None else self.reference_list
        if not listed:
            return unit
        header, names = unit.header, unit.header.topology_elem_ids
        if any(name not in listed for name in names):
            raise NotEncodable(
                "blocks are sent neither with a reference list nor with short names", path=names[0]
            )
        if self.reference_list is None:
            return replace(
                unit, header=replace(header, topology_elem_ids=tuple(self._short_names[n] for n in names))
            )
        indices = tuple(self.reference_list[name] for name in names)
        return replace(unit, header=replace(header, topology_elem_ids=(), topology_elem_id_indices=indices))
