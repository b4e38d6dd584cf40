# SPDX-License-Identifier: Apache-2.0
"""Adapter of the specification's model; it reports the bit of every level and the state after every tensor."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nnr_conformance.answer import REPORT_FORMAT, Answer, BytesDigest, Rejected, Report, Unsupported
from nnr_conformance.bins import HEADING
from nnr_conformance.trace_line import PAYLOADS, trace_line
from spec.model import BinTrace, Field, Session, StreamError
from spec.model import Unsupported as NotDescribed
from spec.model import stream as model_stream
from spec.model.tensor_data import TensorData

CLAIMS = {"name": "spec.model", "version": "1"}


class _WatchedTensorData(TensorData):
    """Record the start bit of every level and the arithmetic decoder's state after the tensor."""

    finished: ClassVar[list[dict[str, Any]]] = []  # one decoder in one thread

    def decode(self) -> list[int]:
        self.starts = np.zeros(self.coding.rows * self.coding.width, np.uint32)
        levels = super().decode()
        engine = self.engine
        states = np.array([(model.s0, model.s1) for model in self.contexts.models], "<i2")
        self.finished.append(
            {
                "name": engine.path.partition("].")[2],
                "starts": self.starts,
                "range": engine.range,
                "offset": engine.offset,
                "bit_offset": engine.absolute(engine.bit_position),
                "contexts_sha256": hashlib.sha256(states.tobytes()).hexdigest(),
            }
        )
        return levels

    def _level(self, position: int) -> int:
        self.starts[position] = self.engine.absolute(self.engine.bit_position)
        return super()._level(position)


vars(model_stream)["TensorData"] = _WatchedTensorData


def decode(streams: Sequence[bytes], dimensions: Mapping[str, tuple[int, ...]] | None = None) -> list[Answer]:
    """Decode the streams of a vector in one session, so that updates find their predecessors."""
    log: list[Field] = []
    bins: list[BinTrace] = []
    # A bin trace is long; only `explain`, which sets the variable, shows it.
    observe = (lambda _, trace: bins.append(trace)) if "NNR_KEEP_GOING" in os.environ else None
    session = Session(dimensions=dimensions, log=log, observe=observe)
    answers = []
    for number, stream in enumerate(streams):
        log.clear()
        bins.clear()
        _WatchedTensorData.finished.clear()
        try:
            answers.append(_decode_stream(session, stream, log))
            answers[-1].bins = _bin_trace(bins) if observe else None
        except NotDescribed as error:
            raise Unsupported(str(error)) from error
        except StreamError as error:
            raise Rejected(
                str(error),
                error_class=error.verdict,  # type: ignore[arg-type]  # the model uses the same class names
                bit_offset=error.bit_offset,
                stream=number,
            ) from error
    return answers


def bin_traces(streams: Sequence[bytes]) -> list[str]:
    """Decode the streams of a valid vector and write the bin trace of each."""
    bins: list[BinTrace] = []
    session = Session(observe=lambda _, trace: bins.append(trace))
    traces = []
    for stream in streams:
        bins.clear()
        session.decode(stream)
        traces.append(_bin_trace(bins))
    return traces


def _bin_trace(bins: Sequence[BinTrace]) -> str:
    """Write a bin trace: a heading, then a line for each bin."""
    lines = [HEADING]
    for seen in bins:
        cells = (seen.index, seen.element, seen.kind, seen.context, seen.bin, seen.range, seen.offset, seen.bit_position,
                 seen.s0, seen.s1)  # fmt: skip
        lines.append("\t".join("-" if cell is None else str(cell) for cell in cells))
    return "\n".join(lines) + "\n"


def _element(field: Field) -> str:
    return re.sub(r"(\[\d+\])+$", "", field.path.rpartition(".")[2])


def _value(field: Field) -> object:
    """Value of a trace line; for an alignment, its checked bits (1, then zeros), because the model logs its length."""
    return 1 << (field.n_bits - 1) if field.path.endswith("byte_alignment") else field.value


def _decode_stream(session: Session, stream: bytes, log: Sequence[Field]) -> Answer:
    decoded = session.decode(stream)
    answer = Answer()
    for name, tensor in decoded.tensors.items():
        dtype = "<i4" if tensor.dtype == "int32" else "<f4"
        answer.values[name] = np.frombuffer(tensor.value_bytes, dtype).reshape(tensor.shape)
        if tensor.levels is not None:
            answer.levels[name] = np.array(tensor.levels, np.int32).reshape(tensor.shape)
    states = {}
    # A later tensor of the same name replaces an earlier one, whatever its shape (3.2.1).
    for seen in {seen["name"]: seen for seen in _WatchedTensorData.finished}.values():
        name, starts = seen.pop("name"), seen.pop("starts")
        if name in answer.levels:
            answer.bits[name] = starts.reshape(answer.levels[name].shape)
        states[name] = dict(seen)
    answer.report = Report(
        format=REPORT_FORMAT,
        units=tuple(
            {"nnr_unit_type": kind, "byte_offset": byte_offset, "nnr_unit_size": size}
            for kind, byte_offset, size in decoded.units
        ),
        arithmetic=states,
        topology=tuple(
            BytesDigest(
                size_bytes=len(unit.topology_data), sha256=hashlib.sha256(unit.topology_data).hexdigest()
            )
            for unit in decoded.topology
        ),
    )
    answer.trace = "".join(
        trace_line(field.bit_offset, field.n_bits, _element(field), _value(field))
        for field in log
        if _element(field) not in PAYLOADS
    )
    return answer
