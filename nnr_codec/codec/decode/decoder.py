# SPDX-License-Identifier: Apache-2.0
"""Decoder of streams: bytes to tensors, with updates."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Executor
from functools import partial
from itertools import chain
from typing import Any, Literal, overload

from numpy.typing import NDArray

from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
from nnr_codec.codec.decode.recompose import Recomposer
from nnr_codec.codec.decode.unit_batches import UnitBatch, batched
from nnr_codec.codec.decode.unit_decoder import DecodingUnits, UnitTensor
from nnr_codec.codec.decode.update_decoder import decode_in_turn
from nnr_codec.codec.decode.values import carried_values, patched_values, source_values
from nnr_codec.codec.job_pipeline import checked_threads, in_order
from nnr_codec.codec.stream.carrier_reader import CarriedItem
from nnr_codec.codec.stream.checksum import verify_checksum
from nnr_codec.codec.stream.deadline import Deadline
from nnr_codec.codec.stream.input import StreamSource, opened
from nnr_codec.codec.stream.source_description import SourceDescription
from nnr_codec.codec.stream.stream_reader import DataUnitInStream, StreamReader
from nnr_codec.codec.stream.unit_index import UnitIndex
from nnr_codec.codec.stream.update_tree import UpdateTree
from nnr_codec.entropy import Workers
from nnr_codec.errors import BitstreamError
from nnr_codec.model import Limits

DecodedTensors = dict[str, NDArray[Any]]


class Decoder:
    """Decodes streams; where they are incremental, one update after the other.

    Parameters
    ----------
    limits : Limits, optional
        What a stream may cost; the defaults are safe for streams from strangers.
    threads : int, optional
        Units, and block rows of tensors with entry points, decoded side by side. The result does not
        depend on it. Memory does: it holds as many of the largest tensors.
    executor : concurrent.futures.Executor, optional
        Where to decode units instead: a process pool, or a cluster's; `threads` is then how many workers to keep busy.
    dimensions : mapping of str to tuple of int, optional
        Shapes of tensors whose dimensions are not in the stream.
    require_checksum : bool
        Refuse streams without a checksum. A checksum that is there is verified before anything is decoded; when only some
        tensors are wanted, only if it is required, for it takes reading the whole stream.

    Attributes
    ----------
    description : SourceDescription
        What the stream decoded last says of its source: kind of file, metadata, data types.
    topology : bytes or None
        Its graph, a serialised ONNX model without weights.
    attachments : dict of str to bytes
        Files attached to it.
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
        self._dimensions = dict(dimensions or {})
        self._require_checksum = require_checksum
        self._updates = UpdateTree(self._limits)
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
            Only these tensors; the other units are hopped over, not decoded. Beside a file with an index (``nnr index``)
            not even that.
        dequantize : bool
            False gives `QuantizedTensor` for everything that was quantised.
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
            `names` is one text instead of a collection.

        Clause: format 2 to 5
        """
        tensors = dict(self.iterate(source, names=names, dequantize=dequantize, recompose=recompose))
        return _in_source_order(tensors, self._followers)

    def iterate(
        self,
        source: StreamSource,
        *,
        names: Collection[str] | None = None,
        dequantize: bool = True,
        recompose: bool = False,
        index: UnitIndex | None = None,
    ) -> Iterator[tuple[str, Any]]:
        """Yield names and tensors one by one in the stream's order, for models larger than memory; else as `decode`.

        `index` is the stream's own, where the caller has it already; by default the one beside a file.
        """
        if isinstance(names, str | bytes):
            raise TypeError(f"names is a collection of tensor names, not one {type(names).__name__}")
        wanted = None if names is None else set(names)
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
                self._remember(reader)
                decoded.add(name)
                yield name, tensor
                # A loop's variable would keep it while the next one is decoded.
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
        for unit, tensors in self._decoded(reader, wanted, dequantize):
            if isinstance(unit, CarriedItem):
                reader.topologies.description.dtypes.note(unit.name, unit.tag)
                yield unit.name, carried_values(unit)
                reader.passed(unit)
                continue
            by_name: dict[str, Any] = {}
            for tensor in sorted(tensors, key=lambda t: t.planned.name_index):
                name = unit.names[tensor.planned.name_index]
                patch = reader.topologies.patches.pop(name, None)
                if not dequantize and patch is None:
                    by_name[name] = tensor.value
                    continue
                # Levels have no place for a patch's elements.
                by_name[name] = source_values(tensor, unit, reader.topologies.description, name)
                if patch is not None:
                    by_name[name] = patched_values(by_name[name], patch)
            if recomposer is not None:
                by_name = recomposer.recompose(unit, tensors, by_name)
            for name in list(by_name):
                if wanted is None or name in wanted:
                    reader.topologies.description.dtypes.note(name)
                    yield name, by_name.pop(name)
            reader.passed(unit)
            # Else this unit's tensors would stay while the next one's are decoded.
            del tensors, tensor, by_name
        if recomposer is not None:
            yield from recomposer.left_over()

    def _decoded(
        self, reader: StreamReader, wanted: set[str] | None, dequantize: bool
    ) -> Iterator[tuple[DataUnitInStream | CarriedItem, list[UnitTensor]]]:
        needed = (unit for unit in reader.tensors() if self._is_needed(unit, reader, wanted))
        # The parameter sets say which way it goes, and come before the first data unit.
        first = next(needed, None)
        units = chain([] if first is None else [first], needed)
        if reader.parent_signalling:
            for unit in units:
                yield (
                    unit,
                    [] if isinstance(unit, CarriedItem) else decode_in_turn(unit, reader, self._updates)[0],
                )
            return
        batches = self._decoded_batches(batched(units), dequantize)
        for batch, results in batches:
            for unit in batch.units:
                if isinstance(unit, CarriedItem):
                    reader.check_time(unit)
                    yield unit, []
                    continue
                result = results.pop(0)
                if isinstance(result, BitstreamError):
                    unit.locate(result)
                    raise result
                reader.check_time(unit)
                yield unit, result
                del result

    def _decoded_batches(
        self, batches: Iterator[UnitBatch], dequantize: bool
    ) -> Iterator[tuple[UnitBatch, list[list[UnitTensor] | BitstreamError]]]:
        if self._executor is not None:
            executor = self._executor
            pickled = ((batch, batch.n_elements, (batch.coded, dequantize)) for batch in batches)
            yield from in_order(lambda job: executor.submit(_decode_batch, job), pickled, self._threads)
        elif self._threads == 1:
            for batch in batches:
                yield batch, _decode_batch((batch.coded, dequantize))
        else:
            # They work without Python, whose lock this thread holds while it parses what comes next; then it works with them.
            workers = Workers(self._threads - 1)
            jobs = ((batch, batch.n_elements, batch.coded) for batch in batches)
            begin = partial(DecodingUnits, dequantize=dequantize, workers=workers)
            yield from in_order(begin, jobs, self._threads)

    def _is_needed(
        self, unit: DataUnitInStream | CarriedItem, reader: StreamReader, wanted: set[str] | None
    ) -> bool:
        if isinstance(unit, CarriedItem):
            return wanted is None or unit.name in wanted
        # Later updates may need any unit of an incremental stream.
        return (
            wanted is None
            or reader.parent_signalling
            or any(_is_part_of(name, wanted) for name in unit.names)
        )


def _decode_batch(
    job: tuple[tuple[DataUnitInStream, ...], bool],
) -> list[list[UnitTensor] | BitstreamError]:
    units, dequantize = job
    return DecodingUnits(units, dequantize=dequantize).result()


def _in_source_order(tensors: dict[str, Any], followers: Mapping[str, str]) -> dict[str, Any]:
    """Put tensors that stand elsewhere in the stream before those that they precede in the source."""
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


def _is_part_of(name: str, wanted: set[str]) -> bool:
    # The factors of a weight are called after it; see unit_names.
    return name in wanted or name.removesuffix("_G") in wanted or name.removesuffix("_H") in wanted


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
