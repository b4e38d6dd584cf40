# SPDX-License-Identifier: Apache-2.0
"""Tensors to a stream, written unit by unit."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, BinaryIO, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.encoding_threads import EncodingThreads
from nnr_codec.codec.encode.importance import Importance, TensorImportance, importance_of
from nnr_codec.codec.encode.tensor_encoder import encode_without_levels
from nnr_codec.codec.encode.tensor_job import EncodedTensor, TensorJob
from nnr_codec.codec.job_pipeline import checked_threads, in_order
from nnr_codec.codec.stream.checksum import checksum_unit
from nnr_codec.codec.stream.source_description import describe
from nnr_codec.codec.stream.update_tree import UpdateTree
from nnr_codec.errors import NotEncodable
from nnr_codec.model import (
    AnyUnit,
    DataUnitHeader,
    Limits,
    ModelParameterSet,
    NodeId,
    ParentNode,
    ParentNodeIdType,
    Quantization,
    QuantizationMethods,
    StartUnit,
)
from nnr_codec.model.data_types import TAG_OF_NAME
from nnr_codec.syntax import SyntaxState, build_unit
from nnr_codec.transform import Block

#: Names a decoder with its default limits takes.
_MOST_NAME_BYTES = Limits().max_name_bytes or 0

# Centre of the steps in reach, in octaves below 1.
_OCTAVES_BELOW_ONE = 16

Progress = Callable[[str, int, int], None]  # name, elements done, stream bytes so far


@runtime_checkable
class DescribedTensors(Protocol):
    """A mapping that knows its tensors without reading them, such as an open model file."""

    def dtype_of(self, name: str) -> str:
        """Return the data type in safetensors' spelling."""

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape."""


class Encoder:
    """Encodes models; in incremental mode, one update after the other.

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
        self.config = config or EncoderConfig()
        self._threads = checked_threads(threads)
        self._executor = executor
        self._updates = UpdateTree()
        self._parameter_ids: dict[str, int] = {}
        self._depths: dict[str, int] = {}  # put_node_depth of the last unit sent of a tensor

    def encode(
        self,
        tensors: Mapping[str, ArrayLike | Block],
        *,
        file: BinaryIO | None = None,
        kind: str = "",
        metadata: Mapping[str, str] | None = None,
        dtypes: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        importance: Mapping[str, Importance] | None = None,
    ) -> bytes:
        """Encode one stream.

        Parameters
        ----------
        tensors : mapping of str to array
            Read one at a time, in the mapping's order, so that it may load them lazily.
        file : binary file, optional
            Written to as units are ready; the return value is then empty.
        kind, metadata
            What `Decoder.description` gives back: the kind of file the tensors come from, and its free-form texts.
        dtypes : mapping of str to str, optional
            Data types in safetensors' spelling, for tensors whose array is wider than what it stands for (bfloat16).
        progress : callable, optional
            Called after each tensor.
        importance : mapping of str to float, array or Curvature, optional
            What squared errors are worth, for the tensors it names: a number against other tensors; an array against each
            other (it broadcasts to the tensor's shape); a layer's `Curvature` for quantisation with error feedback.
            `nnr_codec.frameworks.torch_importance` computes them.

        Raises
        ------
        NotEncodable
            A tensor the format cannot hold; ``path`` names it.

        Clause: format 2, 3
        """
        out: BinaryIO = io.BytesIO() if file is None else file
        written = 0
        digest = hashlib.sha256()
        for name, n_elements, unit in self._units(
            tensors, kind, dict(metadata or {}), dict(dtypes or {}), importance
        ):
            out.write(unit)
            written += len(unit)
            if self.config.checksum:
                digest.update(unit)
            if progress is not None and name is not None:
                progress(name, n_elements, written)
        if self.config.checksum:
            out.write(checksum_unit(digest.digest()))
        return out.getvalue() if isinstance(out, io.BytesIO) and file is None else b""

    def _units(
        self,
        tensors: Mapping[str, ArrayLike | Block],
        kind: str,
        metadata: dict[str, str],
        dtypes: dict[str, str],
        importance: Mapping[str, Importance] | None,
    ) -> Iterator[tuple[str | None, int, bytes]]:
        config = self.config
        config.check_patterns(tensors.keys())
        state = SyntaxState()
        description = describe(_descriptions(tensors, dtypes), kind, metadata)
        described = config.describe_source and not description.is_trivial()
        quantization = Quantization(config.density, self._quantization_parameter())
        parameter_set = ModelParameterSet(
            topology_carriage_flag=described,
            quantization_methods=QuantizationMethods.NNR_QSU | QuantizationMethods.NNR_QCB,
            quantization=quantization,
            parent_signalling_enabled_flag=config.incremental,
        )
        opening: list[AnyUnit] = [StartUnit(general_profile_idc=config.general_profile_idc), parameter_set]
        if described:
            opening.append(description.to_unit())
        for unit in opening:
            yield None, 0, build_unit(unit, state)
            state = state.after(unit)

        def jobs() -> Iterator[TensorJob]:
            for name in tensors:
                value = tensors[name]
                array = value if isinstance(value, Block) else _widened(_as_array(name, value))
                if array.size:
                    yield self._job(name, array, quantization, importance_of(name, array.shape, importance))
                # Few tensors are in flight; this loop must not hold one more.
                del array, value

        for ticket, encoded in self._encoded(jobs()):
            if self._is_left_out(ticket, encoded):
                continue
            if config.incremental and encoded.levels is not None:
                self._updates.remember(encoded.unit.header, encoded.unit.payload, [encoded.levels])
                self._depths[ticket.name] = self._depths.get(ticket.name, 0) + 1
            yield ticket.name, ticket.n_elements, _built(ticket.name, encoded, state)
            state = state.after(encoded.unit)

    def _quantization_parameter(self) -> int:
        # Each tensor's qp_value reaches 32 octaves either side of this. Steps that hold small values exactly go down to 2**-48.
        half = 1 << (5 + self.config.density)
        usual = -_OCTAVES_BELOW_ONE * (1 << self.config.density)
        wanted = [qp for qp in (self.config.qp, self.config.qp_1d) if qp is not None]
        return usual if all(-half <= qp - usual < half for qp in wanted) else wanted[0]

    def _job(
        self, name: str, array: NDArray[Any] | Block, quantization: Quantization, given: TensorImportance
    ) -> TensorJob:
        weighing = (given.by_weight, given.curvature, given.worth)
        if not self.config.incremental:
            return TensorJob(name, array, self.config, quantization, DataUnitHeader(), None, None, *weighing)
        parameter_id = self._parameter_ids.setdefault(name, len(self._parameter_ids))
        depth = self._depths.get(name, 0) + 1
        node = NodeId(self.config.device_id, parameter_id, depth)
        # The peer's first update has depth 1 and names its parent, the model both sides have at depth 0; its decoder wants that.
        parent = ParentNode(ParentNodeIdType.ICNN_NDU_ID, device_id=self.config.device_id)
        header = DataUnitHeader(node_id=node)
        found = self._updates.predecessors(replace(header, parent=parent))
        before = found[0] if found is not None and found[0].levels.size == array.size else None
        return TensorJob(name, array, self.config, quantization, header, before, parent, *weighing)

    def _is_left_out(self, ticket: _Ticket, encoded: EncodedTensor) -> bool:
        return (
            self.config.incremental
            and self.config.leave_out_zeros
            and ticket.is_update
            and encoded.levels is not None
            and not encoded.levels.any()
        )

    def _encoded(self, jobs: Iterator[TensorJob]) -> Iterator[tuple[_Ticket, EncodedTensor]]:
        ticketed = _ticketed(jobs)
        if self._executor is not None:
            executor = self._executor
            yield from in_order(
                lambda job: executor.submit(encode_without_levels, job), ticketed, self._threads
            )
        elif self._threads > 1:
            with EncodingThreads(self._threads) as threads:
                yield from in_order(threads.submit, ticketed, self._threads)
        else:
            for ticket, _, job in ticketed:
                yield ticket, encode_without_levels(job)
                del job


@dataclass(frozen=True)
class _Ticket:
    """What stays here of a job while it is done elsewhere: all but its tensor."""

    name: str
    n_elements: int
    is_update: bool

    @classmethod
    def of(cls, job: TensorJob) -> _Ticket:
        return cls(job.name, job.array.size, job.predecessor is not None)


def _ticketed(jobs: Iterator[TensorJob]) -> Iterator[tuple[_Ticket, int, TensorJob]]:
    for job in jobs:
        yield _Ticket.of(job), job.array.size, job
        # A loop's variable would keep its tensor while the next one is read.
        del job


def _built(name: str, encoded: EncodedTensor, state: SyntaxState) -> bytes:
    try:
        return build_unit(encoded.unit, state)
    except NotEncodable as error:
        error.path = name if error.path is None else f"{name}: {error.path}"
        raise


def _as_array(name: str, value: ArrayLike) -> NDArray[Any]:
    if not isinstance(name, str):
        raise TypeError(f"tensor names are str, not {type(name).__name__}")
    if "\0" in name:
        raise NotEncodable("a name with a zero byte cannot be sent", path=repr(name), clause="format 1")
    if len(name.encode("utf-8", "surrogatepass")) > _MOST_NAME_BYTES:
        raise NotEncodable(
            f"decoders refuse names of more than {_MOST_NAME_BYTES} bytes unless told otherwise",
            path=f"{name[:32]}...",
            clause="format 1",
        )
    array = np.asarray(value)
    if array.dtype.kind in "OSUMmc" or (array.dtype.kind == "V" and array.dtype.name not in TAG_OF_NAME):
        raise NotEncodable(f"arrays of {array.dtype} have no place in the format", path=name)
    return array


@cache
def _tag(dtype: np.dtype[Any]) -> str | None:
    return TAG_OF_NAME.get(dtype.name)


def _descriptions(
    tensors: Mapping[str, ArrayLike | Block], dtypes: Mapping[str, str]
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return data types and shapes, without reading the tensors where the source knows them."""
    if isinstance(tensors, DescribedTensors):
        return {
            name: (dtypes.get(name) or tensors.dtype_of(name), tuple(tensors.shape_of(name)))
            for name in tensors
        }
    return {name: _described(name, tensors, dtypes) for name in tensors}


def _described(
    name: str, tensors: Mapping[str, ArrayLike | Block], dtypes: Mapping[str, str]
) -> tuple[str, tuple[int, ...]]:
    """Return data type and shape of an array."""
    value = tensors[name]
    if isinstance(value, Block):
        return "F32", value.shape
    array = _as_array(name, value)
    tag = _tag(array.dtype)
    if tag is None:
        raise NotEncodable(f"arrays of {array.dtype} have no place in the format", path=name)
    return dtypes.get(name) or tag, array.shape


def _widened(array: NDArray[Any]) -> NDArray[Any]:
    # bfloat16 and the 8-bit floats of ml_dtypes are not NumPy's own; float32 holds each of their values.
    return array.astype(np.float32) if _tag(array.dtype) in ("BF16", "F8_E4M3", "F8_E5M2") else array


def encode(
    tensors: Mapping[str, ArrayLike | Block],
    config: EncoderConfig | None = None,
    *,
    file: BinaryIO | None = None,
    kind: str = "",
    metadata: Mapping[str, str] | None = None,
    dtypes: Mapping[str, str] | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
    importance: Mapping[str, Importance] | None = None,
    **options: Any,
) -> bytes:
    """Encode a model into an NNC stream.

    Parameters
    ----------
    tensors : mapping of str to array
    config : EncoderConfig, optional
    **options
        Fields of `EncoderConfig`, instead of or on top of `config`.

    The other parameters are those of `Encoder` and `Encoder.encode`.

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
        progress=progress,
        importance=importance,
    )
