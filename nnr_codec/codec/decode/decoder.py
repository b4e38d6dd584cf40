# SPDX-License-Identifier: Apache-2.0
"""Decoder of streams: bytes to tensors, with updates."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Executor
from itertools import chain
from typing import Any, Literal, overload

from numpy.typing import NDArray

from nnr_codec._native import CarriedItem, UnitBatch, UpdateTree
from nnr_codec.codec.decode.decode_task import DecodedBatch, DecodeTask, decode_batch, in_units
from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
from nnr_codec.codec.decode.recompose import Recomposer, weight_parts
from nnr_codec.codec.decode.values import carried_values, source_tensors
from nnr_codec.codec.job_pipeline import checked_threads, in_order
from nnr_codec.codec.stream.checksum import verify_checksum
from nnr_codec.codec.stream.deadline import Deadline
from nnr_codec.codec.stream.input import StreamSource, opened
from nnr_codec.codec.stream.source_description import SourceDescription
from nnr_codec.codec.stream.stream_reader import StreamReader, checked_shapes
from nnr_codec.codec.stream.topology_reader import SourceOfUnits, in_source_order
from nnr_codec.codec.stream.unit_index import UnitIndex
from nnr_codec.entropy import Workers
from nnr_codec.model import Limits

DecodedTensors = dict[str, NDArray[Any]]


class Decoder:
    """Decoder of streams, and of series of updates.

    Parameters
    ----------
    limits : Limits, optional
        Bounds on the cost of a stream; the defaults are safe for untrusted streams.
    threads : int, optional
        Units, and block rows of tensors with entry points, decoded in parallel. The result does not depend on it. Memory
        holds up to this many of the largest tensors.
    executor : concurrent.futures.Executor, optional
        Process pool or cluster that decodes the units instead; `threads` is then the number of workers to keep busy.
    dimensions : mapping of str to tuple of int, optional
        Shapes of tensors whose dimensions are not in the stream.
    require_checksum : bool
        Refuse streams without a checksum. A checksum is always verified before decoding, except when `names` selects
        tensors: then only if required, because verification reads the whole stream.

    Attributes
    ----------
    description : SourceDescription
        Description of the source of the last stream: kind of file, metadata, data types.
    topology : bytes or None
        Graph of the last stream, a serialised ONNX model without weights.
    attachments : dict of str to bytes
        Files attached to the last stream.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        threads: int | None = None,
        executor: Executor | None = None,
        dimensions: Mapping[str, tuple[int, ...]] | None = None,
        require_checksum: bool = False,
    ) -> None:
        self._limits = limits or Limits()
        self._threads = checked_threads(threads)
        self._executor = executor
        self._dimensions = checked_shapes(dimensions or {})
        self._require_checksum = require_checksum
        self._updates = UpdateTree(self._limits.max_updates_kept)
        self.description = SourceDescription()
        self.topology: bytes | None = None
        self.attachments: dict[str, bytes] = {}
        self._followers: dict[str, str] = {}

    @overload
    def decode(
        self,
        source: StreamSource,
        *,
        names: Collection[str] | None = ...,
        dequantize: Literal[True] = ...,
        recompose: bool = ...,
    ) -> DecodedTensors: ...

    @overload
    def decode(
        self,
        source: StreamSource,
        *,
        names: Collection[str] | None = ...,
        dequantize: bool,
        recompose: bool = ...,
    ) -> dict[str, QuantizedTensor | NDArray[Any]]: ...

    def decode(
        self,
        source: StreamSource,
        *,
        names: Collection[str] | None = None,
        dequantize: bool = True,
        recompose: bool = False,
    ) -> Any:
        """Decode one stream.

        Parameters
        ----------
        source : bytes-like, path or binary file
        names : collection of str, optional
            Decode these tensors only. Other units are skipped; with an index beside the file (``nnr index``) they are not
            even visited.
        dequantize : bool
            False returns `QuantizedTensor` for quantised tensors.
        recompose : bool
            Multiply local scalings and low-rank factors back into their weights.

        Returns
        -------
        dict of str to array
            In the source's order, with the data types of the source. Carried tensors of types that NumPy lacks are
            ``uint8[n_bytes]``; ``description.dtypes`` names their type.

        Raises
        ------
        BitstreamError
            Anything wrong with the stream, with its place.
        KeyError
            A wanted name that is not in the stream.
        TypeError
            `names` is one text instead of a collection, or has something else than texts.

        Clause: format 2 to 5
        """
        tensors = dict(self.iterate(source, names=names, dequantize=dequantize, recompose=recompose))
        return in_source_order(tensors, self._followers)

    def iterate(
        self,
        source: StreamSource,
        *,
        names: Collection[str] | None = None,
        dequantize: bool = True,
        recompose: bool = False,
        index: UnitIndex | None = None,
    ) -> Iterator[tuple[str, Any]]:
        """Yield names and tensors in stream order, for models larger than memory. Parameters and errors are those of `decode`.

        `index` is the index of the stream, by default the file beside it.
        """
        if isinstance(names, str | bytes):
            raise TypeError(f"names is a collection of tensor names, not one {type(names).__name__}")
        wanted = None if names is None else set(names)
        if wanted and not all(isinstance(name, str) for name in wanted):
            raise TypeError("names of tensors are str")
        return self._iterate(source, wanted, dequantize, recompose, index)

    def _iterate(
        self,
        source: StreamSource,
        wanted: set[str] | None,
        dequantize: bool,
        recompose: bool,
        index: UnitIndex | None,
    ) -> Iterator[tuple[str, Any]]:
        deadline = Deadline(self._limits)
        with opened(source, self._limits.max_stream_bytes) as buffer:
            if wanted is None or self._require_checksum:
                verify_checksum(buffer, self._limits, deadline, required=self._require_checksum)
            if index is None and wanted and isinstance(source, str | os.PathLike):
                index = UnitIndex.beside(source)
            places = index.units(buffer, wanted) if index is not None and wanted else None
            reader = StreamReader(
                buffer, self._limits, self._dimensions, wanted=wanted, places=places, deadline=deadline
            )
            decoded: set[str] = set()
            self._remember(reader)
            for name, tensor in self._named(reader, wanted, dequantize, recompose):
                decoded.add(name)
                yield name, tensor
                # Release the tensor before the next one is decoded.
                del tensor
            self._remember(reader)
            if wanted is None and not recompose:
                reader.topologies.check_followers(decoded)
        if wanted is not None and wanted - decoded:
            raise KeyError(", ".join(sorted(wanted - decoded)))

    def _remember(self, reader: StreamReader) -> None:
        topologies = reader.topologies
        self.description, self.topology = topologies.description, topologies.topology
        self.attachments, self._followers = topologies.attachments, topologies.followers

    def _named(
        self, reader: StreamReader, wanted: set[str] | None, dequantize: bool, recompose: bool
    ) -> Iterator[tuple[str, Any]]:
        recomposer = Recomposer() if recompose and dequantize else None
        plain = dequantize and recomposer is None and self._limits.max_seconds is None
        for content, decoded in self._decoded(reader, wanted, dequantize):
            self._remember(reader)
            if decoded is None:
                reader.topologies.description.dtypes.note(content.name, content.tag)
                yield content.name, carried_values(content)
                # The pieces of the item lie behind this offset; the next call releases them.
                reader.passed(content.bit_offset // 8)
                continue
            batch, source = content
            if plain and not decoded.errors and batch.has_plain_formats and source.is_plain:
                yield from _plain(batch, decoded, wanted)
                reader.passed(batch[len(batch) - 1].byte_offset)
                del decoded
                continue
            for unit, tensors in in_units(batch, decoded):
                if self._limits.max_seconds is not None:
                    reader.check_time(unit)
                parts = weight_parts(unit) if recomposer is not None else ()
                by_name = source_tensors(unit, tensors, source, dequantize, parts)
                if recomposer is not None:
                    by_name = recomposer.recompose(unit, by_name)
                for name in list(by_name):
                    if wanted is None or name in wanted:
                        yield name, by_name.pop(name)
                # Release this unit's tensors before the next unit is decoded.
                del tensors, by_name
            reader.passed(unit.byte_offset)
            del decoded
        if recomposer is not None:
            yield from recomposer.left_over()

    def _decoded(
        self, reader: StreamReader, wanted: set[str] | None, dequantize: bool
    ) -> Iterator[tuple[Any, DecodedBatch | None]]:
        """Yield batches with what is said of them and their tensors, and carried items with None."""
        jobs = _jobs(reader, wanted)
        # Read up to the first data unit: the parameter sets before it tell whether the stream is an update.
        first = next(jobs, None)
        jobs = chain([] if first is None else [first], jobs)
        if self._executor is not None and not reader.parent_signalling:
            executor = self._executor
            yield from in_order(
                lambda batch: (
                    _NOTHING if batch is None else executor.submit(decode_batch, (batch, dequantize))
                ),
                jobs,
                self._threads,
            )
        elif self._threads > 1 and not reader.parent_signalling:
            # Native threads decode while this thread reads the next headers; then it takes jobs as well.
            workers = Workers(self._threads - 1)
            yield from in_order(
                lambda batch: _NOTHING if batch is None else DecodeTask(batch, dequantize, workers),
                jobs,
                self._threads,
            )
        else:
            updates = self._updates if reader.parent_signalling else None
            for content, _, batch in jobs:
                yield (
                    content,
                    None if batch is None else DecodeTask(batch, dequantize, updates=updates).result(),
                )


def _plain(
    batch: UnitBatch, decoded: DecodedBatch, wanted: set[str] | None
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the tensors of a batch whose decoded arrays are final, and release each before the next."""
    decoded.arrays.reverse()
    for name in batch.names:
        tensor = decoded.arrays.pop()
        if wanted is None or name in wanted:
            yield name, tensor
        del tensor


class _Nothing:
    """Task of a carried item, which is read with the headers."""

    def result(self) -> None:
        """Return at once."""

    def cancel(self) -> None:
        """Do nothing."""


_NOTHING = _Nothing()


def _jobs(
    reader: StreamReader, wanted: set[str] | None
) -> Iterator[tuple[tuple[UnitBatch, SourceOfUnits] | CarriedItem, int, UnitBatch | None]]:
    """Yield batches with what the units before them say of their tensors, and carried items; their sizes; the batches."""
    for step in reader:
        if isinstance(step, UnitBatch):
            yield (step, reader.topologies.source_of(step)), step.n_elements, step
        elif step.item is not None and (wanted is None or step.item.name in wanted):
            yield step.item, -(-step.item.n_bytes // 4), None
        del step


def decode(
    source: StreamSource,
    *,
    names: Collection[str] | None = None,
    dequantize: bool = True,
    recompose: bool = False,
    limits: Limits | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    dimensions: Mapping[str, tuple[int, ...]] | None = None,
    require_checksum: bool = False,
) -> dict[str, Any]:
    """Decode an NNC stream into a model.

    Parameters are those of `Decoder` and `Decoder.decode`.

    Returns
    -------
    dict of str to array
        In the stream's order, with the data types of the source; `QuantizedTensor` for quantised tensors when `dequantize`
        is False.

    Raises
    ------
    BitstreamError
        Anything wrong with the stream, with its place.
    """
    decoder = Decoder(
        limits=limits,
        threads=threads,
        executor=executor,
        dimensions=dimensions,
        require_checksum=require_checksum,
    )
    return decoder.decode(source, names=names, dequantize=dequantize, recompose=recompose)
