# SPDX-License-Identifier: Apache-2.0
"""ONNX network whose float32 weights, initializers or Constant nodes, are replaced between runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from nnr_codec.frameworks import open_model
from tools.research.quality.subject import Tensors


class OnnxNetwork:
    """ONNX file with replaceable weights.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._model = onnx.load(path)
        with open_model(path) as model:
            arrays = {name: np.array(model[name]) for name in model}
        self.tensors = {
            name: array for name, array in arrays.items() if array.dtype == np.float32 and array.size > 1
        }
        self._fields = {tensor.name: tensor for tensor in self._model.graph.initializer}
        for node in self._model.graph.node:
            if node.op_type == "Constant":
                (value,) = (field for field in node.attribute if field.name == "value")
                self._fields[node.output[0]] = value.t

    def run(self, tensors: Tensors, inputs: list[NDArray[np.generic]]) -> list[NDArray[np.float32]]:
        """Return the first output for every batch of the only input."""
        for name, array in tensors.items():
            field = self._fields[name]
            values = onnx.numpy_helper.from_array(
                np.asarray(array, np.float32).reshape(tuple(field.dims)), field.name
            )
            field.CopyFrom(values)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(self._model.SerializeToString(), options)
        name = session.get_inputs()[0].name
        return [np.asarray(session.run(None, {name: batch})[0]) for batch in inputs]
