# SPDX-License-Identifier: Apache-2.0
"""Any tensors at any places of an ONNX model come through reader, topology and writer with their bits."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from nnr_codec.frameworks import open_model, save_model
from tests.onnx_models import model_of, node

#: Bits of an element in raw_data, and the typed field with the bits of its entries.
TYPES = {
    TensorProto.FLOAT: (32, "float_data", np.float32),
    TensorProto.DOUBLE: (64, "double_data", np.float64),
    TensorProto.INT64: (64, "int64_data", np.int64),
    TensorProto.UINT64: (64, "uint64_data", np.uint64),
    TensorProto.UINT32: (32, "uint64_data", np.uint32),
    TensorProto.INT32: (32, "int32_data", np.int32),
    TensorProto.INT8: (8, "int32_data", np.int8),
    TensorProto.UINT16: (16, "int32_data", np.uint16),
    TensorProto.FLOAT16: (16, "int32_data", np.uint16),
    TensorProto.BFLOAT16: (16, "int32_data", np.uint16),
    TensorProto.FLOAT8E5M2: (8, "int32_data", np.uint8),
    TensorProto.INT4: (4, "int32_data", np.uint8),
    TensorProto.UINT2: (2, "int32_data", np.uint8),
    TensorProto.COMPLEX64: (64, "float_data", np.float32),
}
PLACES = ("initializer", "constant", "branch", "attribute", "attributes")


class Sample(NamedTuple):
    """A tensor, and where it is put."""

    data_type: int
    dims: tuple[int, ...]
    is_raw: bool
    place: str
    name: str
    seed: int

    @property
    def octets(self) -> bytes:
        """Elements as raw_data has them; 8, 32 and 64-bit floats without NaN, whose payloads are not kept."""
        n_bytes = (int(np.prod(self.dims)) * TYPES[self.data_type][0] + 7) // 8
        rng = np.random.default_rng(self.seed)
        if TYPES[self.data_type][2] in (np.float32, np.float64):
            dtype = TYPES[self.data_type][2]
            return rng.standard_normal(n_bytes // np.dtype(dtype).itemsize).astype(dtype).tobytes()
        mask = 0xFB if self.data_type == TensorProto.FLOAT8E5M2 else 0xFF
        return bytes(octet & mask for octet in rng.bytes(n_bytes))

    def tensor(self) -> Any:
        """Build the message."""
        tensor = TensorProto(name=self.name, data_type=self.data_type, dims=self.dims)
        if self.is_raw or not self.octets:
            tensor.raw_data = self.octets
        else:
            _, field, dtype = TYPES[self.data_type]
            getattr(tensor, field).extend(np.frombuffer(self.octets, dtype).tolist())
        return tensor


samples = st.builds(
    Sample,
    st.sampled_from(sorted(TYPES)),
    st.lists(st.integers(0, 40), max_size=3).map(tuple),
    st.booleans(),
    st.sampled_from(PLACES),
    st.sampled_from(["", "w", "w", "v", "node[0].many[0]", "initializer[1]", "größe"]),
    st.integers(0, 3),
)


def model_with(content: list[Sample]) -> Any:
    """Put all samples into one model."""
    at: dict[str, list[Any]] = {place: [s.tensor() for s in content if s.place == place] for place in PLACES}
    branch = helper.make_graph([], "then", [], [], at["branch"])
    nodes = [node("If", ["c"], ["y"], then_branch=branch)]
    nodes += [node("Constant", [], [f"c{k % 2}"], value=tensor) for k, tensor in enumerate(at["constant"])]
    nodes += [node("Odd", [], ["o"], domain="odd", one=tensor) for tensor in at["attribute"]]
    if at["attributes"]:
        nodes.insert(0, node("Odd", [], ["o"], domain="odd", many=at["attributes"]))
    return model_of(nodes, at["initializer"])


def stored(message: Any) -> Iterator[tuple[str, int, tuple[int, ...], bytes]]:
    """Yield name, type, shape and raw elements of a model's tensors in the order of the descriptors."""
    if isinstance(message, TensorProto):
        octets = message.raw_data
        if not octets and message.data_type in TYPES:
            _, field, dtype = TYPES[message.data_type]
            entries = np.array(getattr(message, field), object)
            octets = entries.astype(dtype).tobytes() if len(entries) else b""
        yield message.name, message.data_type, tuple(message.dims), octets
        return
    for field, inner in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for part in inner if hasattr(inner, "__len__") else [inner]:
                yield from stored(part)


@settings(max_examples=150, deadline=None)
@given(st.lists(samples, max_size=8), st.booleans(), st.sampled_from([None, True]))
def test_tensors_keep_their_bits(
    content: list[Sample], from_external: bool, to_external: bool | None
) -> None:
    expected = list(stored(model_with(content)))
    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder) / "m.onnx", Path(folder) / "n.onnx"
        onnx.save(
            model_with(content),
            path,
            save_as_external_data=from_external,
            location="w.bin",
            size_threshold=0,
            convert_attribute=True,
        )
        with open_model(path) as model:
            n_bytes = sum(len(octets) for *_, octets in expected)
            assert model.size_bytes <= n_bytes
            topology = model.topology() or b""
            save_model(target, model, template=topology, metadata=model.metadata, external_data=to_external)
            result = onnx.load(target)
        assert list(stored(result)) == expected
        # A model whose tensors were all taken out again is the same topology.
        with open_model(target) as again:
            assert sorted(again) == sorted(model)
            assert len(again.topology() or b"") == len(topology)
