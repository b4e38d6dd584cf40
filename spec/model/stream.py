# SPDX-License-Identifier: Apache-2.0
"""2.1 Decoding of a stream, and of a sequence of streams (5.6)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from . import data_unit as du
from . import parameter_sets as ps
from .arithmetic import ArithmeticDecoder, BinTrace
from .descriptors import BitReader, Field
from .errors import Unsupported
from .incremental import Predecessor, UpdateTree
from .limits import Limits
from .reconstruction import step_size, values_of
from .scan import count_block_rows
from .tensor_data import EntryPoint, TensorCoding, TensorData
from .unit_tensors import TensorPlan, plan_tensors
from .units import (
    NNR_AGG,
    NNR_LPS,
    NNR_MPS,
    NNR_NDU,
    NNR_QNT,
    NNR_STR,
    NNR_TPL,
    PartJoiner,
    Unit,
    iterate_units,
)


@dataclass(frozen=True)
class Tensor:
    """Decoded tensor.

    Attributes
    ----------
    dtype : str
        ``float32`` or ``int32``.
    levels : list of int or None
        Row-major; None for raw values.
    value_bytes : bytes
        Values, row-major, 4 bytes each, little-endian.
    qp : int or None
        QP (4.1); None for integers and raw values.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    levels: list[int] | None
    value_bytes: bytes
    role: str
    qp: int | None
    qp_density: int | None
    codebook: du.Codebook | None

    @property
    def values(self) -> list[float] | list[int]:
        """Values as numbers, row-major."""
        count = len(self.value_bytes) // 4
        return list(struct.unpack(f"<{count}{'i' if self.dtype == 'int32' else 'f'}", self.value_bytes))


@dataclass
class DecodedStream:
    """Content of one stream.

    ``units`` has the type, the first byte and the size in bytes of each unit.
    """

    general_profile_idc: int = 0
    tensors: dict[str, Tensor] = field(default_factory=dict)
    topology: list[ps.Topology] = field(default_factory=list)
    units: list[tuple[int, int, int]] = field(default_factory=list)


class Session:
    """Decoder of a sequence of streams.

    Parameters
    ----------
    limits : Limits, optional
    dimensions : mapping of str to tuple of int, optional
        Shapes of tensors whose units have no dimensions, by name.
    block_rows_alone : bool, optional
        Decode each block row from its entry point, from the last to the first.
    observe : callable, optional
        Receives the unit's index and a ``BinTrace`` after each bin.
    log : list of Field, optional
        Receives every syntax element outside the codewords.
    rejects_missed_updates : bool, optional
        Reject a sequence whose first update probably was missed, where 5.6.1 leaves that to the decoder.

    Clause: 2.1, 5.6
    """

    def __init__(
        self,
        limits: Limits | None = None,
        dimensions: Mapping[str, tuple[int, ...]] | None = None,
        block_rows_alone: bool = False,
        observe: Callable[[int, BinTrace], None] | None = None,
        log: list[Field] | None = None,
        rejects_missed_updates: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self.dimensions = dimensions or {}
        self.block_rows_alone = block_rows_alone
        self.observe = observe
        self.log = log
        self.tree = UpdateTree(rejects_missed_updates)

    def decode(self, stream: bytes) -> DecodedStream:
        """Decode the next stream of the sequence."""
        return _StreamDecoder(self).decode(bytes(stream))


class _StreamDecoder:
    """Decoder of one stream with the state of its parameter sets."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.limits = session.limits
        self.result = DecodedStream()
        self.joiner = PartJoiner()
        self.mps: ps.ModelParameterSet | None = None
        self.quantisation: ps.Quantisation | None = None  # in force (4.1)
        self.reference_list: tuple[str, ...] = ()
        self.data_unit_seen = False
        self.elements = 0

    def decode(self, stream: bytes) -> DecodedStream:
        for unit in iterate_units(stream, self._check_order, self.session.log):
            self.result.units.append((unit.nnr_unit_type, unit.first_byte, unit.size))
            self.joiner.expects(unit)
            if unit.nnr_unit_type == NNR_AGG:
                raise Unsupported(
                    "aggregate unit", path=unit.path, bit_offset=8 * unit.first_byte, clause="2.10"
                )
            if unit.nnr_unit_type > NNR_AGG:
                continue  # 2.11: skipped by its size
            self._unit(unit)
        self.joiner.expect_closed(len(stream))
        return self.result

    def _check_order(self, index: int, kind: int, reader: BitReader) -> None:
        problem = None
        if (index == 0) != (kind == NNR_STR):
            problem = "the first unit, and no other, is a start unit"
        elif kind == NNR_MPS and self.mps is not None:
            problem = "a second model parameter set"
        elif kind == NNR_MPS and self.data_unit_seen:
            problem = "a model parameter set behind a compressed data unit"
        if problem is not None:
            raise reader.malformed(problem, "nnr_unit_type", 0, "2.1")

    def _unit(self, unit: Unit) -> None:
        kind, reader = unit.nnr_unit_type, unit.reader
        if kind == NNR_STR:
            if unit.partial_data_counter:
                raise reader.malformed("a start unit in parts", "partial_data_counter", 8, "2.4")
            self.result.general_profile_idc = ps.start_unit_header(reader)
            reader.expect_end("2.3")
            return
        if kind == NNR_NDU:
            self.data_unit_seen = True
            header = du.data_unit_header(
                reader,
                self.result.general_profile_idc,
                self.mps or ps.ModelParameterSet(),
                self._resolve_index,
                self.limits,
            )
            payload = self.joiner.add(unit, reader.position)
            if payload is not None:
                self._data_unit(unit, header, payload)
            return
        formats = (0, 0)
        if kind == NNR_LPS:
            ps.layer_parameter_set_header(reader)
        elif kind == NNR_TPL:
            formats = ps.topology_unit_header(reader)
        elif kind == NNR_QNT:
            formats = ps.quantisation_unit_header(reader)
        payload = self.joiner.add(unit, reader.position)
        if payload is None:
            return
        if kind == NNR_MPS:
            self.mps = ps.model_parameter_set(payload, self.result.general_profile_idc)
            self.quantisation = self.mps.quantisation or self.quantisation
        elif kind == NNR_LPS:
            self.quantisation = ps.layer_parameter_set(payload) or self.quantisation
        elif kind == NNR_TPL:
            topology = ps.topology_unit(payload, formats, self.limits.topology_elements)
            self.result.topology.append(topology)
            if topology.topology_elem_ids is not None:
                self.reference_list = topology.topology_elem_ids
        else:
            ps.quantisation_unit(payload, formats)

    def _resolve_index(self, index: int) -> str | None:
        """Return the name at an index of the reference list (3.2.1)."""
        return self.reference_list[index] if index < len(self.reference_list) else None

    # 3.5 payload

    def _data_unit(self, unit: Unit, header: du.DataUnitHeader, payload: BitReader) -> None:
        self.elements += header.elements
        if self.elements > self.limits.stream_elements:
            raise payload.limit(f"{self.elements} elements in all", "tensor_dimensions", 0)
        tensors = plan_tensors(header, self.session.dimensions, payload)
        previous = self._predecessor(header, tensors, payload)
        if header.payload_type == du.NNR_PT_RAW_FLOAT:
            self._raw_floats(tensors[0], payload)
            return
        quantisation = self._quantisation_in_force(header, payload)
        observe = self.session.observe
        engine = ArithmeticDecoder(
            payload.source,
            unit.path,
            payload.absolute,
            None if observe is None else lambda trace: observe(unit.index, trace),
        )
        decoded = []
        used = 0  # entry points of the tensors so far
        for index, plan in enumerate(tensors):
            engine.path = f"{unit.path}.{plan.name}"
            qp = None
            if quantisation is not None:
                engine.element = "qp_value"
                qp = engine.iae(6 + quantisation.qp_density) + quantisation.quantization_parameter
            points, used = self._entry_points_of(header, plan, used)
            levels = TensorData(engine, self._coding(header, plan, previous, index, points)).decode()
            decoded.append((plan, levels, qp, quantisation))
        engine.path = unit.path
        engine.finish()
        for plan, levels, qp, quantisation in decoded:
            self._reconstruct(plan, levels, qp, quantisation, payload)
        if self.mps is not None and self.mps.parent_signalling:
            self.session.tree.remember(
                header.node, tensors, payload.source, [levels for _, levels, _, _ in decoded], previous
            )

    def _predecessor(
        self, header: du.DataUnitHeader, tensors: tuple[TensorPlan, ...], payload: BitReader
    ) -> Predecessor | None:
        previous = self.session.tree.predecessor(header.node, header.parent, payload.path)
        if previous is not None and previous.shapes != [tensor.shape for tensor in tensors]:
            raise payload.malformed("the previous update has other shapes", "tensor_dimensions", 0, "5.6")
        return previous

    def _quantisation_in_force(self, header: du.DataUnitHeader, payload: BitReader) -> ps.Quantisation | None:
        """Return the density and parameter in force (4.1); None for integers."""
        if header.payload_type == du.NNR_PT_INT:
            return None
        if self.quantisation is None:
            raise payload.malformed("no parameter set brought qp_density", "qp_value", 0, "4.1")
        return self.quantisation

    def _entry_points_of(
        self, header: du.DataUnitHeader, plan: TensorPlan, used: int
    ) -> tuple[list[EntryPoint] | None, int]:
        """Return the entry points of a tensor, and the number of entry points up to its last one."""
        if header.scan_order == 0 or plan.role not in ("weight", "G", "H"):
            return None, used
        end = used + max(count_block_rows(plan.rows, header.scan_order) - 1, 0)
        return list(header.entry_points[used:end]) if self.session.block_rows_alone else None, end

    def _coding(
        self,
        header: du.DataUnitHeader,
        plan: TensorPlan,
        previous: Predecessor | None,
        index: int,
        points: list[EntryPoint] | None,
    ) -> TensorCoding:
        profile = self.result.general_profile_idc
        codebook = plan.codebook if profile == 1 else None
        temporal = header.parent is not None and header.parent.temporal_context_modeling
        return TensorCoding(
            rows=plan.rows,
            width=plan.width,
            profile=profile,
            unary_length=header.unary_length,
            # dq_flag has no effect on integers (decision 0009).
            dependent=header.dq_flag and header.payload_type != du.NNR_PT_INT,
            scan_order=header.scan_order,
            codebook_size=0 if codebook is None else len(codebook.values),
            zero_offset=0 if codebook is None else codebook.zero_offset,
            parent_node_id_present=header.parent is not None,
            base=previous.levels[index] if temporal and previous is not None else None,
            seen=previous.seen[index] if previous is not None else None,
            entry_points=points,
        )

    # 4

    def _reconstruct(
        self,
        plan: TensorPlan,
        levels: list[int],
        qp: int | None,
        quantisation: ps.Quantisation | None,
        payload: BitReader,
    ) -> None:
        if quantisation is None or qp is None:
            dtype, value_bytes = "int32", struct.pack(f"<{len(levels)}i", *levels)
        else:
            step = step_size(qp, quantisation.qp_density)
            values = values_of(levels, step, plan.codebook)
            if None in values:
                raise payload.malformed("a level without an entry in the codebook", plan.name, 0, "4.3")
            dtype, value_bytes = "float32", struct.pack(f"<{len(values)}f", *values)
        self.result.tensors[plan.name] = Tensor(
            plan.name,
            plan.shape,
            dtype,
            levels,
            value_bytes,
            plan.role,
            qp,
            None if quantisation is None else quantisation.qp_density,
            plan.codebook,
        )

    def _raw_floats(self, plan: TensorPlan, payload: BitReader) -> None:
        if len(payload.source) != 4 * plan.elements:
            raise payload.malformed(
                f"{len(payload.source)} bytes for {plan.elements} floats", "raw_float32_parameter", 0, "3.5"
            )
        self.result.tensors[plan.name] = Tensor(
            plan.name, plan.shape, "float32", None, payload.source, plan.role, None, None, None
        )


__all__ = [
    "DecodedStream",
    "Session",
    "Tensor",
]
