# SPDX-License-Identifier: Apache-2.0
"""Encoder of models: writes a stream unit by unit."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnr_codec.codec.encode.carriage import Carriage, CarriedTensor
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.encoding_threads import EncodingThreads
from nnr_codec.codec.encode.importance import Importance, TensorImportance, importance_of
from nnr_codec.codec.encode.progress import EncodingProgress, Progress
from nnr_codec.codec.encode.quantize.error_allocation import error_factors
from nnr_codec.codec.encode.quantize.tensor_roles import is_ruined_by_float32
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

# Base of the stream's quantisation parameters, in octaves below a step of 1.
_OCTAVES_BELOW_ONE = 16
_NEW_HEADER = DataUnitHeader()


class Encoder:
    """Encoder of models, and of series of updates in incremental mode.

    A failed call does not change the encoder.

    Parameters
    ----------
    config : EncoderConfig, optional
    threads : int, optional
        Tensors encoded in parallel. The stream does not depend on it. Memory holds up to this many of the largest tensors.
    executor : concurrent.futures.Executor, optional
        Process pool or cluster that encodes the tensors instead; `threads` is then the number of workers to keep busy.
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
            NumPy arrays, PyTorch tensors or other array-likes. The mapping may load them lazily: they are read one at a time in
            order. A tensor that is larger encoded than stored is read twice.
        file : binary file, optional
            Output file. The return value is then empty.
        kind, metadata
            Kind and free-form metadata of the model file, which `Decoder.description` returns.
        dtypes : mapping of str to str, optional
            Data types in safetensors' spelling, for tensors in a wider array (bfloat16 in float32) and for opaque tensors, whose
            arrays are stored bytes.
        topology : bytes, optional
            The network's graph, a serialised ONNX model without its weights.
        attachments : mapping of str to bytes, optional
            Files that belong to the model, such as ``config.json``.
        progress : callable of (str, int, int), optional
            Called after each tensor, and about twenty times a second inside one, with the tensor's name, the elements done since
            the last call and the stream bytes so far. An exception from it ends the encoding.
        importance : mapping of str to float, array or Curvature, optional
            Weights of squared errors by tensor name: a number weights the tensor against others; an array, which broadcasts to
            the tensor's shape, weights elements against each other; a `Curvature` asks for error feedback.
            `nnr_codec.frameworks.torch_importance` computes them.

        Raises
        ------
        NotEncodable
            The stream cannot hold a tensor or an option, or a decoder would refuse it at its default limits; ``path`` names it.
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
        jobs = self._jobs(carriage, pending, importance)
        with EncodingProgress(progress, self.config.preset.native_passes) as observed:
            for ticket, encoded in self._encoded(jobs, observed):
                self._write(writer, carriage, pending, ticket, encoded)
                observed.finished(writer.n_bytes)
        writer.close()
        if pending is not None:
            pending.commit()
        return out.getvalue() if isinstance(out, io.BytesIO) and file is None else b""

    def _write(
        self,
        writer: StreamWriter,
        carriage: Carriage,
        pending: PendingUpdate | None,
        ticket: _Ticket,
        encoded: EncodedTensor | CarriedTensor,
    ) -> None:
        """Write the units of one tensor, as it is smallest."""
        if isinstance(encoded, CarriedTensor):
            writer.write_carried(ticket.name, carriage.units(encoded))
        elif self._is_left_out(ticket, encoded):
            return
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

    def _write_opening(
        self,
        writer: StreamWriter,
        carriage: Carriage,
        kind: str,
        metadata: Mapping[str, str],
        topology: bytes | None,
        attachments: Mapping[str, bytes],
    ) -> None:
        """Write the units that precede the tensors."""
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
        factors = error_factors({name: shape for name, (_, shape) in carriage.described.items()})
        for name, (tag, shape) in carriage.described.items():
            value = carriage.tensors[name]
            if isinstance(value, Block):
                yield self._job(name, value, pending, importance_of(name, value.shape, importance), 1.0)
                continue
            array = as_codec_array(name, value, tag)
            if must_be_carried(array, tag) or _stays_as_stored(self.config, name, array, tag):
                if array.size or self.config.describe_source:
                    yield CarriedTensor(name, array, tag, shape)
            else:
                weighting = importance_of(name, array.shape, importance)
                yield self._job(name, array, pending, weighting, factors.get(name, 1.0))
            # Release the tensor: the pipeline bounds the number of tensors in memory.
            del array, value

    @cached_property
    def _quantization(self) -> Quantization:
        # qp_value covers 32 octaves either side of the base. Exact coding of small values needs steps down to 2**-48.
        config, half = self.config, 1 << (5 + self.config.density)
        explicit = [qp for qp in (config.qp, config.qp_1d) if qp is not None]
        for base in (-_OCTAVES_BELOW_ONE * (1 << config.density), 0):
            if all(-half <= qp - base < half for qp in (*explicit, *(qp for _, qp in config.qp_by_name))):
                return Quantization(config.density, base)
        return Quantization(config.density, explicit[0] if explicit else 0)

    def _job(
        self,
        name: str,
        array: NDArray[Any] | Block,
        pending: PendingUpdate | None,
        importance: TensorImportance,
        error_factor: float,
    ) -> TensorJob:
        weighting = (importance.by_weight, importance.curvature, importance.weight, error_factor)
        quantization = self._quantization
        if pending is None:
            # A decoder that skips the patch returns zeros without notice, so peer_compatible excludes patches.
            can_patch = self.config.describe_source and not self.config.peer_compatible
            return TensorJob(
                name, array, self.config, quantization, _NEW_HEADER, None, None, *weighting, can_patch
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
        self, jobs: Iterator[TensorJob | CarriedTensor], observed: EncodingProgress
    ) -> Iterator[tuple[_Ticket, EncodedTensor | CarriedTensor]]:
        """Encode tensors in this thread, in threads or by the executor; pass carried tensors through, in order."""
        ticketed = _ticketed(jobs, observed)
        if self._executor is not None:
            executor = self._executor
            yield from in_order(
                _unless_carried(lambda job: executor.submit(encode_without_levels, job)),
                ticketed,
                self._threads,
            )
        elif self._threads > 1:
            with EncodingThreads(self._threads, observed.observer) as threads:
                yield from in_order(
                    _unless_carried(threads.submit), ticketed, self._threads, abandon=observed.observer.stop
                )
        else:
            for ticket, _, job in ticketed:
                yield ticket, job if isinstance(job, CarriedTensor) else encode_without_levels(job)
                del job


@dataclass(frozen=True)
class _Ticket:
    """Name and size of a job, kept while a worker has its tensor."""

    name: str
    n_elements: int
    is_update: bool

    @classmethod
    def of(cls, job: TensorJob | CarriedTensor) -> _Ticket:
        is_update = isinstance(job, TensorJob) and job.predecessor is not None
        return cls(job.name, job.array.size, is_update)


@dataclass(frozen=True)
class _Done:
    """Finished task of a carried tensor."""

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
    jobs: Iterator[TensorJob | CarriedTensor], observed: EncodingProgress
) -> Iterator[tuple[_Ticket, int, TensorJob | CarriedTensor]]:
    for job in jobs:
        observed.begun(job.name, job.array.size)
        yield _Ticket.of(job), job.array.size, job
        # Release the tensor before the next one is read.
        del job


def _check_patterns(config: EncoderConfig, described: Mapping[str, TypeAndShape]) -> None:
    patterns = [("qp_by_name", pattern) for pattern, _ in config.qp_by_name]
    patterns += [("exact", pattern) for pattern in config.exact]
    patterns += [("keep", pattern) for pattern in config.keep]
    if not patterns or not described:
        return
    # Patterns that are whole names need no search; long lists have mostly these.
    whole = described.keys() | {glob.escape(name) for name in described}
    for option, pattern in patterns:
        if pattern not in whole and not fnmatch.filter(described, pattern):
            raise NotEncodable(f"the pattern {pattern!r} of {option} matches no tensor", path=pattern)


def _stays_as_stored(config: EncoderConfig, name: str, array: NDArray[Any], tag: str) -> bool:
    """Tell whether the options or the values ask for what float32 units do not hold as it is stored."""
    if array.dtype.kind != "f" or tag == "F32":
        return False
    if config.is_kept(name):
        return True
    with np.errstate(over="ignore", under="ignore"):
        if config.is_exact(name) and not np.array_equal(array.astype(np.float32), array, equal_nan=True):
            return True
        return tag == "F64" and is_ruined_by_float32(array)


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
    """Encode a model to an NNC stream. Other parameters are those of `Encoder` and `Encoder.encode`.

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
