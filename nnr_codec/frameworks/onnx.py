# SPDX-License-Identifier: Apache-2.0
"""ONNX models: the initialisers are the tensors, the rest is the topology.

onnx is imported when a file is opened or written, not with this module.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np

from nnr_codec.codec.element_storage import STORAGE, Array, narrow, widen
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.source import ModelSource, TensorDescription

#: Protocol buffers end at 2 GiB; larger models would need files beside.
MAX_MODEL_BYTES = (1 << 31) - 1

_TAGS = {
    "BOOL": "BOOL",
    "UINT8": "U8",
    "INT8": "I8",
    "UINT16": "U16",
    "INT16": "I16",
    "UINT32": "U32",
    "INT32": "I32",
    "UINT64": "U64",
    "INT64": "I64",
    "FLOAT16": "F16",
    "BFLOAT16": "BF16",
    "FLOAT": "F32",
    "DOUBLE": "F64",
    "FLOAT8E4M3FN": "F8_E4M3",
    "FLOAT8E5M2": "F8_E5M2",
}
#: Where a tensor's elements can lie inside the model, besides raw_data.
_ELEMENT_FIELDS = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")


def _import_onnx() -> Any:
    try:
        import onnx
        import onnx.external_data_helper
        import onnx.numpy_helper
    except ImportError:
        raise NotEncodable("ONNX files need onnx: pip install 'nnr_codec[onnx]'") from None
    return onnx


class OnnxSource(ModelSource):
    """The initialisers of an ONNX model's main graph.

    Initialisers of types that cannot be coded (strings, 4-bit integers) stay in the topology, as everything
    else of the model does.
    """

    kind = "onnx"

    def __init__(self, path: str) -> None:
        onnx = _import_onnx()
        super().__init__(path, {})
        with open(path, "rb") as file:
            self._model = _parse(file.read(), path)
        self._initializers: dict[str, Any] = {}
        for tensor in self._model.graph.initializer:
            tag = _tag(tensor)
            if tag is None:
                self.left_out += (tensor.name,)
                continue
            if tensor.name in self._initializers:
                raise NotEncodable("an initialiser's name occurs twice", path=f"{path}: {tensor.name}")
            self._initializers[tensor.name] = tensor
            self._descriptions[tensor.name] = TensorDescription(tag, tuple(tensor.dims))
        self.metadata = {entry.key: entry.value for entry in self._model.metadata_props}
        self._onnx = onnx

    def _read(self, name: str) -> Array:
        tensor, tag = self._initializers[name], self.dtype_of(name)
        place = f"{self.path}: {name}"
        try:
            if self._onnx.external_data_helper.uses_external_data(tensor):
                # Into a copy, so that the elements are let go with the array.
                loaded = self._onnx.TensorProto()
                loaded.CopyFrom(tensor)
                folder = os.path.dirname(os.path.abspath(self.path))
                self._onnx.external_data_helper.load_external_data_for_tensor(loaded, folder)
                loaded.ClearField("data_location")
                tensor = loaded
            values: Array = self._onnx.numpy_helper.to_array(tensor)
        except (ValueError, TypeError, OSError, self._onnx.checker.ValidationError) as error:
            raise NotEncodable(f"the initialiser cannot be read: {error}", path=place) from None
        if values.dtype == STORAGE[tag]:
            return values.astype(values.dtype.newbyteorder("="), copy=False)
        # onnx gives the types NumPy lacks as ml_dtypes' arrays, whose bits are those of the file.
        return widen(values.view(f"<u{values.dtype.itemsize}"), tag)

    def topology(self) -> bytes:
        """Serialise the model with the initialisers' elements left out."""
        bare = self._onnx.ModelProto()
        bare.CopyFrom(self._model)
        for tensor in bare.graph.initializer:
            if tensor.name in self._initializers:
                _clear_elements(tensor)
        serialized: bytes = bare.SerializeToString(deterministic=True)
        return serialized


def write_onnx(
    file: BinaryIO,
    tensors: Iterable[tuple[str, Array]],
    descriptions: Mapping[str, TensorDescription],
    template: bytes,
    metadata: Mapping[str, str],
) -> None:
    """Put tensors into a copy of a model: the original's, or what ``topology`` gave.

    Parameters
    ----------
    file : binary file
    tensors : iterable of (name, ndarray)
    descriptions : mapping of name to TensorDescription
    template : bytes
        A serialised model with initialisers of these names.
    metadata : mapping of str to str
        Replaces the template's, unless empty.
    """
    model = _parse(template, "template")
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    if metadata:
        del model.metadata_props[:]
        for key, value in metadata.items():
            model.metadata_props.add(key=key, value=value)
    size = len(template)
    for name, array in tensors:
        if name not in initializers:
            raise NotEncodable("the ONNX template has no initialiser of this name", path=name)
        tensor = initializers.pop(name)
        if tuple(tensor.dims) != array.shape:
            raise NotEncodable(f"the ONNX template has shape {list(tensor.dims)} here", path=name)
        tag = _tag(tensor) or descriptions[name].dtype
        raw = np.ascontiguousarray(narrow(array, tag, name)).tobytes()
        size += len(raw)
        if size > MAX_MODEL_BYTES:
            raise NotEncodable("the model is beyond the 2 GiB of one ONNX file; write safetensors", path=name)
        _clear_elements(tensor)
        tensor.raw_data = raw
    for name, tensor in initializers.items():
        if _tag(tensor) is not None and np.prod(tensor.dims) and not _has_elements(tensor):
            raise NotEncodable("the ONNX model needs this tensor, which did not arrive", path=name)
    file.write(model.SerializeToString(deterministic=True))


def _parse(serialized: bytes, path: str) -> Any:
    onnx = _import_onnx()
    model = onnx.ModelProto()
    try:
        model.ParseFromString(serialized)
    except Exception as error:  # protobuf's error class lies elsewhere in each of its versions
        raise NotEncodable(f"not an ONNX model: {error}", path=path) from None
    if not model.HasField("graph"):
        raise NotEncodable("not an ONNX model: it has no graph", path=path)
    return model


def _tag(tensor: Any) -> str | None:
    names = {number: name for name, number in _import_onnx().TensorProto.DataType.items()}
    return _TAGS.get(names.get(tensor.data_type, ""))


def _clear_elements(tensor: Any) -> None:
    for field in (*_ELEMENT_FIELDS, "raw_data", "external_data", "data_location"):
        tensor.ClearField(field)


def _has_elements(tensor: Any) -> bool:
    return bool(
        tensor.raw_data or tensor.external_data or any(len(getattr(tensor, f)) for f in _ELEMENT_FIELDS)
    )
