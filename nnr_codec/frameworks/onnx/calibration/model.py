# SPDX-License-Identifier: Apache-2.0
"""ONNX model that runs with replaced tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.model_file import ModelFile
from nnr_codec.frameworks.onnx.calibration.graph import Graph, with_outputs
from nnr_codec.frameworks.onnx.calibration.moments import MomentCollector
from nnr_codec.frameworks.onnx.calibration.sample_inputs import SEED, Batch, made_inputs, read_inputs
from nnr_codec.frameworks.onnx.calibration.weight_uses import weight_uses
from nnr_codec.frameworks.onnx.session import session_from_tensors
from nnr_codec.rate_control.calibrated import GIVEN_DAMPING, MADE_DAMPING, UNIFORM_DAMPING, Moments
from nnr_codec.rate_control.divergence import Divergence
from nnr_codec.transform import ScaleMove

# Sums that are accumulated in one pass over the inputs; more weights take more passes.
_PASS_BYTES = 1 << 29
_BATCH = 16
_MADE_SAMPLES = 64


class RunnableOnnx:
    """ONNX model that runs in ONNX Runtime on fixed inputs.

    Parameters
    ----------
    model : ModelFile
        Open ONNX model.
    inputs : path-like, optional
        Samples, as in `read_inputs`; by default they are made.
    seed : int
        Seed of made inputs.

    Raises
    ------
    NotEncodable
        The inputs do not fit, or the model does not run on them; or onnxruntime is not installed.
    """

    def __init__(self, model: ModelFile, inputs: Any = None, *, seed: int = SEED) -> None:
        self._model = model
        self._topology = model.topology() or b""
        self._graph = Graph.of(self._topology)
        self._damping = GIVEN_DAMPING
        if inputs is None:
            batches = made_inputs(self._graph.inputs, _MADE_SAMPLES, self._rows_looked_up(), seed)
            is_uniform = any(value.ndim and value.dtype.kind in "iu" for value in batches[0].values())
            self._damping = UNIFORM_DAMPING if is_uniform else MADE_DAMPING
        else:
            batches = read_inputs(inputs, self._graph.inputs, _BATCH)
        if not batches:
            raise NotEncodable("there are no inputs to run the model on", path=model.path)
        # The divergence is measured on other inputs than the moments, where there are several batches.
        n_held_out = len(batches) // 3
        self._for_moments = batches[: len(batches) - n_held_out]
        self._for_divergence = batches[len(batches) - n_held_out :] if n_held_out else batches
        self._tensors = {name: model[name] for name in model.names()}
        self._divergence: Divergence | None = None

    def divergence(self, tensors: Mapping[str, NDArray[Any]]) -> float:
        """Return the divergence of the outputs with these tensors from those of the model as it is."""
        if self._divergence is None:
            self._divergence = Divergence(self._outputs(self._tensors))
        return self._divergence.of(self._outputs({**self._tensors, **tensors}))

    def moments(self) -> Iterator[tuple[str, Moments]]:
        """Measure the inputs of the weights of matrix products, convolutions, lookups and recurrent operators."""
        for collectors in self._passes():
            sources = sorted({collector.use.source for collector in collectors})
            inputs = {value.name for value in self._graph.inputs}
            tapped = [source for source in sources if source not in inputs]
            extra = [source for source in tapped if source not in self._graph.outputs]
            session = self._session(self._tensors, with_outputs(self._topology, extra))
            for batch in self._for_moments:
                values = dict(zip(tapped, _run(session, tapped, batch, self._model.path), strict=True))
                for collector in collectors:
                    source = collector.use.source
                    collector.add(values[source] if source in values else batch[source])
            for collector in collectors:
                moments = collector.result()
                if moments is not None:
                    yield collector.use.tensor, moments

    def moves(self) -> list[ScaleMove]:
        """Return no moves: they are known for state dicts of transformers only."""
        return []

    def replace(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Replace tensors of the model by ones with which it computes the same function."""
        self._tensors.update(tensors)

    def _rows_looked_up(self) -> dict[str, int]:
        """Return the number of rows that integer inputs of the graph select, by their names."""
        shapes = {name: self._model.shape_of(name) for name in self._model.names()}
        forwarded = {
            node.outputs[0]: node.inputs[0]
            for node in self._graph.nodes
            if node.op_type in ("Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten")
            and node.inputs
        }
        limits: dict[str, int] = {}
        for use in weight_uses(self._graph, shapes):
            if use.node.op_type == "Gather":
                source = use.source
                while source in forwarded:
                    source = forwarded[source]
                rows = shapes[use.tensor][0]
                limits[source] = min(rows, limits.get(source, rows))
        return limits

    def _passes(self) -> Iterator[list[MomentCollector]]:
        shapes = {
            name: self._model.shape_of(name)
            for name in self._model.names()
            if self._tensors[name].dtype.kind == "f"
        }
        used: set[str] = set()
        collectors, n_bytes = list[MomentCollector](), 0
        for use in weight_uses(self._graph, shapes):
            if use.tensor in used:
                continue
            used.add(use.tensor)
            collector = MomentCollector(use, shapes[use.tensor], self._damping)
            if collectors and n_bytes + collector.n_bytes > _PASS_BYTES:
                yield collectors
                collectors, n_bytes = [], 0
            collectors.append(collector)
            n_bytes += collector.n_bytes
        if collectors:
            yield collectors

    def _outputs(self, tensors: Mapping[str, NDArray[Any]]) -> list[list[NDArray[Any]]]:
        session = self._session(tensors, self._topology)
        return [_run(session, self._graph.outputs, batch, self._model.path) for batch in self._for_divergence]

    def _session(self, tensors: Mapping[str, NDArray[Any]], topology: bytes) -> Any:
        descriptions = {name: self._model.describe(name) for name in tensors}
        ordered: Iterable[tuple[str, NDArray[Any]]] = tensors.items()
        return session_from_tensors(ordered, descriptions, topology, providers=["CPUExecutionProvider"])


def _run(session: Any, names: Sequence[str], batch: Batch, path: str) -> list[NDArray[Any]]:
    if not names:
        return []
    try:
        return [np.asarray(value) for value in session.run(list(names), batch)]
    except Exception as error:  # ONNX Runtime's own classes, which cannot be named without importing it
        raise NotEncodable(
            f"the model does not run on the inputs: {str(error).splitlines()[0]}", path=path
        ) from error
