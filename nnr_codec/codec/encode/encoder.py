# SPDX-License-Identifier: Apache-2.0
"""Tensors to a stream, written unit by unit."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnr_codec.codec.encode.carriage import Carriage, CarriedTensor
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.encoding_threads import EncodingThreads
from nnr_codec.codec.encode.importance import Importance, TensorImportance, importance_of
from nnr_codec.codec.encode.stream_writer import StreamWriter
from nnr_codec.codec.encode.tensor_encoder import encode_without_levels
from nnr_codec.codec.encode.tensor_input import (
    TypeAndShape,
    as_codec_array,
    describe_tensors,
    must_be_carried,
)
from nnr_codec.codec.encode.tensor_job import EncodedTensor, TensorJob
from nnr_codec.codec.encode.update_series import PendingUpdate, UpdateSeries
from nnr_codec.codec.job_pipeline import Task, checked_threads, in_order
from nnr_codec.errors import NotEncodable
from nnr_codec.model import (
    DataUnitHeader,
    ModelParameterSet,
    Quantization,
    QuantizationMethods,
    StartUnit,
)
from nnr_codec.transform import Block

# Centre of the steps in reach, in octaves below 1.
_OCTAVES_BELOW_ONE = 16

Progress = Callable[[str, int, int], None]  # name, elements done, stream bytes so far


class Encoder:
    """Encodes models; in incremental mode, one update after the other.

    A call that fails leaves the encoder as it was.

    Parameters
    ----------
    config : EncoderConfig, optional
    threads : int, optional
        Tensors encoded side by side. The stream does not depend on it. Memory does: it holds as many of the largest tensors.
    executor : concurrent.futures.Executor, optional
        Where to encode tensors instead: a process pool, or a cluster's; `threads` is then how many workers to keep busy.
    """

    def __init__(
        self,
        config: EncoderConfig | None = None,
        *,
        threads: int | None = None,
        executor: Executor | None = None,
    ) -> None:
        config = config or EncoderConfig()
        self._importance = config.importance
        # Each tensor's job carries the configuration, possibly to another process.
        self.config = replace(config, importance=None)
        self._threads = checked_threads(threads)
        self._executor = executor
        self._series = UpdateSeries(self.config.device_id)

    def encode(
        self,
        tensors: Mapping[str, ArrayLike | Block],
        *,
        file: BinaryIO | None = None,
        kind: str = "",
        metadata: Mapping[str, str] | None = None,
        dtypes: Mapping[str, str] | None = None,
        topology: bytes | None = None,
        attachments: Mapping[str, bytes] | None = None,
        progress: Progress | None = None,
        importance: Mapping[str, Importance] | None = None,
    ) -> bytes:
        """Encode one stream.

        Parameters
        ----------
        tensors : mapping of str to array
            NumPy arrays, PyTorch tensors or what NumPy makes an array of. Read one at a time, in the mapping's order, so that
            it may load them lazily; a tensor that is larger encoded than stored is read twice.
        file : binary file, optional
            Written to as units are ready; the return value is then empty.
        kind, metadata
            What `Decoder.description` gives back: the kind of file the tensors come from, and its free-form texts.
        dtypes : mapping of str to str, optional
            Data types in safetensors' spelling, for tensors whose array is wider than what it stands for (bfloat16), and for
            opaque ones, whose arrays are their stored bytes.
        topology : bytes, optional
            The network's graph, a serialised ONNX model without its weights.
        attachments : mapping of str to bytes, optional
            Files that belong to the model, such as ``config.json``.
        progress : callable, optional
            Called after each tensor.
        importance : mapping of str to float, array or Curvature, optional
            What squared errors are worth, for the tensors it names: a number against other tensors; an array against each
            other (it broadcasts to the tensor's shape); a layer's `Curvature` for quantisation with error feedback.
            `nnr_codec.frameworks.torch_importance` computes them.

        Raises
        ------
        NotEncodable
            A tensor or an option that the stream cannot hold, or that a decoder refuses at its default limits; ``path`` names
            it.
        TypeError
            An argument of the wrong type.

        Clause: format 2, 3
        """
        if importance is None:
            importance = self._importance
        out: BinaryIO = io.BytesIO() if file is None else file
        described = describe_tensors(tensors, dtypes or {})
        _check_patterns(self.config, described)
        pending = self._series.begin() if self.config.incremental else None
        digest = hashlib.sha256() if self.config.checksum else None
        writer = StreamWriter(out, digest)
        carriage = Carriage(tensors, described, self.config)
        self._write_opening(writer, carriage, kind, metadata or {}, topology, attachments or {})
        for ticket, encoded in self._encoded(self._jobs(carriage, pending, importance)):
            if isinstance(encoded, CarriedTensor):
                writer.write_carried(ticket.name, carriage.units(encoded))
            elif self._is_left_out(ticket, encoded):
                continue
            elif (stored := carriage.if_larger(ticket.name, encoded.unit, encoded.patch)) is not None:
                if isinstance(stored, CarriedTensor):
                    writer.write_carried(ticket.name, carriage.units(stored))
                else:
                    writer.write_tensor(ticket.name, carriage.referring(stored))
            else:
                if pending is not None and encoded.levels is not None:
                    pending.sent(ticket.name, encoded.unit, encoded.levels)
                name = encoded.unit.header.topology_elem_ids[0]
                if encoded.patch is not None:
                    writer.write_carried(name, carriage.patch_units(name, encoded.patch))
                writer.write_tensor(name, carriage.referring(encoded.unit))
            if progress is not None:
                progress(ticket.name, ticket.n_elements, writer.n_bytes)
        writer.close()
        if pending is not None:
            pending.commit()
        return out.getvalue() if isinstance(out, io.BytesIO) and file is None else b""

    def _write_opening(
        self,
        writer: StreamWriter,
        carriage: Carriage,
        kind: str,
        metadata: Mapping[str, str],
        topology: bytes | None,
        attachments: Mapping[str, bytes],
    ) -> None:
        """Write all that precedes the tensors."""
        config = self.config
        topologies = list(carriage.opening(kind, metadata, topology, attachments))
        parameter_set = ModelParameterSet(
            topology_carriage_flag=bool(topologies),
            quantization_methods=QuantizationMethods.NNR_QSU | QuantizationMethods.NNR_QCB,
            quantization=self._quantization,
            topology_indexed_reference_flag=carriage.reference_list is not None,
            parent_signalling_enabled_flag=config.incremental,
        )
        writer.write_unit(StartUnit(general_profile_idc=config.general_profile_idc))
        writer.write_unit(parameter_set)
        for unit in topologies:
            writer.write_unit(unit)

    def _jobs(
        self,
        carriage: Carriage,
        pending: PendingUpdate | None,
        importance: Mapping[str, Importance] | None,
    ) -> Iterator[TensorJob | CarriedTensor]:
        for name, (tag, shape) in carriage.described.items():
            value = carriage.tensors[name]
            if isinstance(value, Block):
                yield self._job(name, value, pending, importance_of(name, value.shape, importance))
                continue
            array = as_codec_array(name, value, tag)
            if must_be_carried(array, tag) or _stays_as_stored(self.config, name, array, tag):
                if array.size or self.config.describe_source:
                    yield CarriedTensor(name, array, tag, shape)
            else:
                yield self._job(name, array, pending, importance_of(name, array.shape, importance))
            # Few tensors are in flight; this loop must not hold one more.
            del array, value

    @property
    def _quantization(self) -> Quantization:
        return Quantization(self.config.density, self._quantization_parameter())

    def _quantization_parameter(self) -> int:
        # Each tensor's qp_value reaches 32 octaves either side of this. Steps that hold small values exactly go down to 2**-48.
        config, half = self.config, 1 << (5 + self.config.density)
        explicit = [qp for qp in (config.qp, config.qp_1d) if qp is not None]
        for base in (-_OCTAVES_BELOW_ONE * (1 << config.density), 0):
            if all(-half <= qp - base < half for qp in (*explicit, *(qp for _, qp in config.qp_by_name))):
                return base
        return explicit[0] if explicit else 0

    def _job(
        self,
        name: str,
        array: NDArray[Any] | Block,
        pending: PendingUpdate | None,
        importance: TensorImportance,
    ) -> TensorJob:
        weighting = (importance.by_weight, importance.curvature, importance.worth)
        quantization = self._quantization
        if pending is None:
            # A decoder that skips the patch would take zeros for the tensor's own.
            can_patch = self.config.describe_source and not self.config.peer_compatible
            return TensorJob(
                name, array, self.config, quantization, DataUnitHeader(), None, None, *weighting, can_patch
            )
        start = pending.start(name, array.shape)
        return TensorJob(
            name, array, self.config, quantization, start.header, start.predecessor, start.parent, *weighting
        )

    def _is_left_out(self, ticket: _Ticket, encoded: EncodedTensor) -> bool:
        return (
            self.config.incremental
            and self.config.leave_out_zeros
            and ticket.is_update
            and encoded.levels is not None
            and not encoded.levels.any()
        )

    def _encoded(
        self, jobs: Iterator[TensorJob | CarriedTensor]
    ) -> Iterator[tuple[_Ticket, EncodedTensor | CarriedTensor]]:
        """Encode tensors, here or elsewhere, and pass carried ones through in their turn."""
        ticketed = _ticketed(jobs)
        if self._executor is not None:
            executor = self._executor
            yield from in_order(
                _unless_carried(lambda job: executor.submit(encode_without_levels, job)),
                ticketed,
                self._threads,
            )
        elif self._threads > 1:
            with EncodingThreads(self._threads) as threads:
                yield from in_order(_unless_carried(threads.submit), ticketed, self._threads)
        else:
            for ticket, _, job in ticketed:
                yield ticket, job if isinstance(job, CarriedTensor) else encode_without_levels(job)
                del job


@dataclass(frozen=True)
class _Ticket:
    """What stays here of a job while it is done elsewhere: all but its tensor."""

    name: str
    n_elements: int
    is_update: bool

    @classmethod
    def of(cls, job: TensorJob | CarriedTensor) -> _Ticket:
        is_update = isinstance(job, TensorJob) and job.predecessor is not None
        return cls(job.name, job.array.size, is_update)


@dataclass(frozen=True)
class _Done:
    """A job with nothing to do."""

    tensor: CarriedTensor

    def result(self) -> CarriedTensor:
        return self.tensor

    def cancel(self) -> None:
        pass


def _unless_carried(
    submit: Callable[[TensorJob], Task[EncodedTensor]],
) -> Callable[[TensorJob | CarriedTensor], Task[EncodedTensor | CarriedTensor]]:
    return lambda job: _Done(job) if isinstance(job, CarriedTensor) else submit(job)


def _ticketed(
    jobs: Iterator[TensorJob | CarriedTensor],
) -> Iterator[tuple[_Ticket, int, TensorJob | CarriedTensor]]:
    for job in jobs:
        yield _Ticket.of(job), job.array.size, job
        # A loop's variable would keep its tensor while the next one is read.
        del job


def _check_patterns(config: EncoderConfig, described: Mapping[str, TypeAndShape]) -> None:
    patterns = [("qp_by_name", pattern) for pattern, _ in config.qp_by_name]
    patterns += [("exact", pattern) for pattern in config.exact]
    patterns += [("keep", pattern) for pattern in config.keep]
    if not patterns or not described:
        return
    # Most patterns of a long list are whole names, which need no search.
    whole = described.keys() | {glob.escape(name) for name in described}
    for option, pattern in patterns:
        if pattern not in whole and not fnmatch.filter(described, pattern):
            raise NotEncodable(f"the pattern {pattern!r} of {option} matches no tensor", path=pattern)


def _stays_as_stored(config: EncoderConfig, name: str, array: NDArray[Any], tag: str) -> bool:
    """Tell whether the options ask for values that float32 units do not hold as they are stored."""
    if array.dtype.kind != "f" or tag == "F32":
        return False
    if config.is_kept(name):
        return True
    with np.errstate(over="ignore", under="ignore"):
        return config.is_exact(name) and not np.array_equal(array.astype(np.float32), array, equal_nan=True)


def encode(
    tensors: Mapping[str, ArrayLike | Block],
    config: EncoderConfig | None = None,
    *,
    file: BinaryIO | None = None,
    kind: str = "",
    metadata: Mapping[str, str] | None = None,
    dtypes: Mapping[str, str] | None = None,
    topology: bytes | None = None,
    attachments: Mapping[str, bytes] | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
    importance: Mapping[str, Importance] | None = None,
    **options: Any,
) -> bytes:
    """Encode a model into an NNC stream; parameters not listed are those of `Encoder` and `Encoder.encode`.

    Parameters
    ----------
    tensors : mapping of str to array
    config : EncoderConfig, optional
    **options
        Fields of `EncoderConfig`, instead of or on top of `config`.

    Returns
    -------
    bytes
        The stream, or nothing when it was written to `file`.

    Raises
    ------
    NotEncodable
        A tensor the format cannot hold; ``path`` names it.
    """
    config = replace(config or EncoderConfig(), **options)
    encoder = Encoder(config, threads=threads, executor=executor)
    return encoder.encode(
        tensors,
        file=file,
        kind=kind,
        metadata=metadata,
        dtypes=dtypes,
        topology=topology,
        attachments=attachments,
        progress=progress,
        importance=importance,
    )
