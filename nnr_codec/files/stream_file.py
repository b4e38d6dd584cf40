# SPDX-License-Identifier: Apache-2.0
"""Streams as lazy mappings of names to tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from nnr_codec.codec.decode.decoder import Decoder
from nnr_codec.codec.decode.quantized_tensor import QuantizedTensor
from nnr_codec.codec.stream.checksum import verify_checksum
from nnr_codec.codec.stream.deadline import Deadline
from nnr_codec.codec.stream.input import StreamSource, opened
from nnr_codec.codec.stream.summary import StreamSummary, TensorSummary, describe_stream
from nnr_codec.codec.stream.unit_index import UnitIndex
from nnr_codec.errors import NotEncodable
from nnr_codec.model import Limits


class StreamFile(Mapping[str, NDArray[Any]]):
    """Lazy mapping of the tensors of a stream.

    ``file[name]`` decodes one tensor to values in the data type of the source; `levels` returns its integers. Iteration yields
    names in stream order. A file is a context manager.

    Parameters
    ----------
    source : bytes-like, path or binary file
    limits : Limits, optional
        Bounds on the cost of the stream and of each tensor.
    threads : int, optional
        Threads that share a tensor with entry points.
    require_checksum : bool
        Refuse a stream without a checksum, and one whose checksum differs.

    Attributes
    ----------
    summary : StreamSummary
        Units and tensors, as `nnr_codec.describe` returns them.

    Raises
    ------
    BitstreamError
        A header is wrong.
    NotEncodable
        The stream is one of a series of updates, which depend on each other; use `Decoder`.
    """

    def __init__(
        self,
        source: StreamSource,
        *,
        limits: Limits | None = None,
        threads: int | None = None,
        require_checksum: bool = False,
    ) -> None:
        self._limits = limits or Limits()
        self._threads = threads
        self._stack = ExitStack()
        try:
            self._buffer = self._stack.enter_context(opened(source, self._limits.max_stream_bytes))
            if require_checksum:
                verify_checksum(self._buffer, self._limits, Deadline(self._limits), required=True)
            self.summary: StreamSummary = describe_stream(self._buffer, limits=self._limits)
            if self.summary.incremental:
                raise NotEncodable("the stream is one of a series of updates; decode the series with Decoder")
            self._index = UnitIndex.of(self._buffer, limits=self._limits)
        except BaseException:
            self._stack.close()
            raise
        # If two units have the same name, the later one counts, as in `decode`.
        self._tensors = {tensor.name: tensor for tensor in self.summary.tensors}

    @property
    def kind(self) -> str:
        """Kind of the encoded model file; "" if the stream does not have it."""
        return self.summary.kind

    @property
    def metadata(self) -> dict[str, str]:
        """Free-form metadata of the model file."""
        return self.summary.metadata

    def describe(self, name: str) -> TensorSummary:
        """Return shape, data type and position of a tensor without decoding it.

        Parameters
        ----------
        name : str

        Raises
        ------
        KeyError
            The stream has no tensor of this name.
        """
        return self._tensors[name]

    def dtype_of(self, name: str) -> str:
        """Return the data type of a tensor, in safetensors' spelling; `KeyError` if there is none of this name."""
        return self._tensors[name].dtype

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor; `KeyError` if there is none of this name."""
        return self._tensors[name].shape or ()

    def __getitem__(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = self._decoded(name, dequantize=True)
        return array

    def levels(self, name: str) -> QuantizedTensor | NDArray[Any]:
        """Decode the integers of a tensor, with their step and codebook.

        Parameters
        ----------
        name : str

        Returns
        -------
        QuantizedTensor or ndarray
            The array itself for tensors that are not quantised.

        Raises
        ------
        KeyError
            The stream has no tensor of this name.
        BitstreamError
            Anything wrong with the tensor's unit, with its place.
        """
        tensor: QuantizedTensor | NDArray[Any] = self._decoded(name, dequantize=False)
        return tensor

    def _decoded(self, name: str, *, dequantize: bool) -> Any:
        if name not in self._tensors:
            raise KeyError(name)
        decoder = Decoder(limits=self._limits, threads=self._threads)
        # If two units have this name, the later one counts.
        tensors = dict(decoder.iterate(self._buffer, names={name}, dequantize=dequantize, index=self._index))
        return tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def close(self) -> None:
        """Release the stream. Arrays already decoded stay valid."""
        self._stack.close()
        self._buffer = memoryview(b"")

    def __enter__(self) -> StreamFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_stream(
    source: StreamSource,
    *,
    limits: Limits | None = None,
    threads: int | None = None,
    require_checksum: bool = False,
) -> StreamFile:
    """Open a stream as a lazy mapping of names to tensors; parameters and errors are those of `StreamFile`.

    Examples
    --------
    >>> import numpy, nnr_codec
    >>> stream = nnr_codec.encode({"a": numpy.arange(3), "b": numpy.ones((2, 2), numpy.float16)})
    >>> with nnr_codec.open(stream) as tensors:
    ...     list(tensors), tensors.describe("b").dtype, tensors["a"].tolist()
    (['a', 'b'], 'F16', [0, 1, 2])
    """
    return StreamFile(source, limits=limits, threads=threads, require_checksum=require_checksum)
