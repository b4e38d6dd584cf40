# SPDX-License-Identifier: Apache-2.0
"""Elements of a tensor as little-endian bytes, read from the fields or the file that hold them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.file_reads import naming, read_fully
from nnr_codec.frameworks.onnx import schema, wire
from nnr_codec.frameworks.onnx.tree import External, Tensor, ValueList
from nnr_codec.frameworks.onnx.wire import Run, WireReader

Bytes = npt.NDArray[np.uint8]


class ElementReader:
    """Reads what a model stores.

    Parameters
    ----------
    reader : WireReader
        The model file.
    folder : str or None
        Folder of external data; None refuses external data.
    """

    def __init__(self, reader: WireReader, folder: str | None) -> None:
        self._reader = reader
        self._folder = folder

    def check(self, element: Tensor | ValueList) -> None:
        """Compare the size of the elements with shape and type, as far as that takes no reading.

        Raises
        ------
        NotEncodable
            The elements are missing, too few or too many, or lie outside of the model's folder.
        """
        if element.lacks_elements:
            raise self._fault(element, "its elements are not in the model")
        if isinstance(element, ValueList):
            return
        if element.external is not None:
            path, external = self._path(element), element.external
            size = _size_of_file(path)
            if size is None:
                raise self._fault(element, f"the external data file {external.location} is missing")
            if external.length is None:
                n_bytes = size - external.offset if element.is_verbatim else element.n_bytes
                element.external = external = External(external.location, external.offset, max(n_bytes, 0))
            if not element.is_verbatim and external.length != element.n_bytes:
                raise self._fault(
                    element, f"its external data has {external.length} bytes instead of {element.n_bytes}"
                )
            if external.offset + (external.length or 0) > size:
                raise self._fault(
                    element,
                    f"the external data file {external.location} has {size} bytes, and the tensor ends "
                    f"at {external.offset + (external.length or 0)}",
                )
        elif not element.is_verbatim:
            for run in element.runs:
                self._check_run(element, run)

    def _check_run(self, tensor: Tensor, run: Run) -> None:
        kind = schema.ELEMENT_TYPES[tensor.data_type]
        if run.number == schema.TENSOR_RAW_DATA and run.wire_type == wire.LEN:
            if run.stop - run.begin != tensor.n_bytes:
                raise self._fault(tensor, f"it has {run.stop - run.begin} bytes instead of {tensor.n_bytes}")
        elif run.number != kind.field:
            raise self._fault(tensor, f"field {run.number} cannot hold elements of type {kind.tag}")

    def read(self, element: Tensor | ValueList) -> Bytes:
        """Read the elements as ``raw_data`` has them, or the fields of what travels verbatim.

        Parameters
        ----------
        element : Tensor or ValueList
            Passed `check`.

        Returns
        -------
        uint8[n_bytes]
        """
        if isinstance(element, ValueList):
            return self._joined(element.runs)
        if element.external is not None:
            return self._read_external(element)
        if element.is_verbatim:
            return self._joined(element.runs)
        if len(element.runs) == 1 and element.runs[0].number == schema.TENSOR_RAW_DATA:
            return self._span(element.runs[0].begin, element.runs[0].stop)
        return self._read_typed(element)

    def fields(self, element: Tensor | ValueList) -> bytes:
        """Read all fields of a tensor, or those of a list, for a model that holds the elements itself."""
        if isinstance(element, ValueList):
            return self.read(element).tobytes()
        if element.extent is not None:
            return self._reader.read(*element.extent)
        octets = self.read(element).tobytes()
        return element.head + (octets if element.is_verbatim else wire.field(schema.TENSOR_RAW_DATA, octets))

    def _span(self, begin: int, stop: int) -> Bytes:
        octets: Bytes = np.empty(stop - begin, np.uint8)
        self._reader.read_into(begin, octets.data)
        return octets

    def _joined(self, runs: list[Run]) -> Bytes:
        spans = [self._span(run.start, run.stop) for run in runs]
        return spans[0] if len(spans) == 1 else np.concatenate([np.empty(0, np.uint8), *spans])

    def _read_typed(self, tensor: Tensor) -> Bytes:
        kind = schema.ELEMENT_TYPES[tensor.data_type]
        try:
            parts = [self._values(run) for run in tensor.runs]
        except ValueError as error:
            raise self._fault(tensor, str(error)) from None
        values = np.concatenate(parts)
        if kind.bits == 6:
            stored = np.packbits(
                np.unpackbits(values.astype(np.uint8)[:, None], axis=1, count=6, bitorder="little"),
                bitorder="little",
            )
        elif kind.tag == "BOOL":
            stored = (values != 0).view(np.uint8)
        elif values.dtype.kind == "f":
            stored = values.view(np.uint8)
        else:
            # Entries hold an element each, or as many as a byte has; negative ones are extended to 64 bits.
            stored = values.astype(f"<u{max(kind.bits // 8, 1)}").view(np.uint8)
        if len(stored) != tensor.n_bytes:
            raise self._fault(tensor, f"its elements have {len(stored)} bytes instead of {tensor.n_bytes}")
        return stored

    def _values(self, run: Run) -> npt.NDArray[Any]:
        if run.number in (schema.TENSOR_FLOATS, schema.TENSOR_DOUBLES):
            n_bytes = 8 if run.number == schema.TENSOR_DOUBLES else 4
            if run.wire_type == wire.LEN:
                return self._span(run.begin, run.stop).view(f"<f{n_bytes}")
            if run.wire_type != (wire.I64 if n_bytes == 8 else wire.I32):
                raise ValueError("its elements have the wrong wire type")
            entries = self._span(run.start, run.stop).reshape(-1, n_bytes + 1)
            return np.ascontiguousarray(entries[:, 1:]).view(f"<f{n_bytes}")[:, 0]
        if run.wire_type == wire.LEN:
            return wire.decode_varints(self._span(run.begin, run.stop))
        if run.wire_type != wire.VARINT:
            raise ValueError("its elements have the wrong wire type")
        return wire.decode_varints(self._span(run.start, run.stop))[1::2]

    def _read_external(self, tensor: Tensor) -> Bytes:
        external = tensor.external or External("")
        length = external.length or 0
        octets: Bytes = np.empty(length, np.uint8)
        try:
            path = self._path(tensor)
            with naming(path), open(path, "rb", buffering=0) as file:
                file.seek(external.offset)
                n_read = read_fully(file, octets.data)
        except FileNotFoundError:
            raise self._fault(tensor, f"the external data file {external.location} is missing") from None
        if n_read != length:
            raise self._fault(tensor, f"the external data file {external.location} became shorter")
        if tensor.is_verbatim:
            prefix = np.frombuffer(wire.length_prefix(schema.TENSOR_RAW_DATA, length), np.uint8)
            return np.concatenate([prefix, octets])
        return octets

    def _path(self, tensor: Tensor) -> str:
        external = tensor.external or External("")
        location = external.location.replace("\\", "/")
        parts = location.split("/")
        if self._folder is None:
            raise self._fault(tensor, "its elements are in another file")
        if "\0" in location or location.startswith("/") or ".." in parts or ":" in parts[0]:
            raise self._fault(
                tensor, f"its external data {external.location!r} is outside of the model's folder"
            )
        path = os.path.join(self._folder, *parts)
        folders = {os.path.realpath(self._folder), os.path.dirname(os.path.realpath(self._reader.path))}
        # Links stay in the folder, or lead to where the model's own link leads, as in download caches.
        target = os.path.realpath(path)
        if not any(os.path.commonpath([folder, target]) == folder for folder in folders):
            raise self._fault(
                tensor, f"its external data {external.location!r} leads out of the model's folder"
            )
        return path

    def _fault(self, element: Tensor | ValueList, reason: str) -> NotEncodable:
        return NotEncodable(
            f"the tensor cannot be read: {reason}", path=f"{self._reader.path}: {element.name}"
        )


def _size_of_file(path: str) -> int | None:
    try:
        return os.stat(path).st_size if os.path.isfile(path) else None
    except OSError:
        return None
