# SPDX-License-Identifier: Apache-2.0
"""Uses of stored tensors as weights: the operator, and the value that is multiplied by the weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nnr_codec.frameworks.onnx.calibration.graph import Graph, Node

# Operators that pass a weight on to its use, without mixing elements along the last dimension.
_FORWARDING = frozenset({"Identity", "Cast", "Unsqueeze", "Squeeze", "Slice", "Concat"})
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})


@dataclass(frozen=True)
class WeightUse:
    """Use of a tensor as the weight of an operator.

    Attributes
    ----------
    tensor : str
        Name of the stored tensor.
    node : Node
    source : str
        Name of the value whose moments matter: the other factor, or the indices of a Gather.
    inputs_first : bool
        True if the first dimension of the weight is the inputs, as in a MatMul; otherwise the dimensions after the outputs.
    is_recurrent : bool
        True if the source is the state of a recurrent operator: [steps, directions, batch, hidden].
    """

    tensor: str
    node: Node
    source: str
    inputs_first: bool = False
    is_recurrent: bool = False


def weight_uses(graph: Graph, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[WeightUse]:
    """Find the uses of tensors in the main graph.

    Parameters
    ----------
    graph : Graph
    shapes : mapping of str to tuple of int
        Shapes of the stored tensors.
    """
    producers = {name: node for node in graph.nodes for name in node.outputs if name}
    for node in graph.nodes:
        if node.op_type in ("MatMul", "Gemm") and len(node.inputs) > 1:
            yield from _products(node, producers, shapes)
        elif node.op_type in ("Conv", "ConvTranspose") and len(node.inputs) > 1:
            name = _forwarded(node.inputs[1], producers, shapes)
            if name is not None:
                yield WeightUse(name, node, node.inputs[0], inputs_first=node.op_type == "ConvTranspose")
        elif node.op_type == "Gather" and node.attributes.get("axis", 0) == 0:
            name = _forwarded(node.inputs[0], producers, shapes)
            if name is not None and len(shapes[name]) == 2:
                yield WeightUse(name, node, node.inputs[1])
        elif node.op_type in _RECURRENT and len(node.inputs) > 2:
            for name in _sources(node.inputs[1], producers, shapes):
                yield WeightUse(name, node, node.inputs[0])
            if node.outputs and node.outputs[0]:
                for name in _sources(node.inputs[2], producers, shapes):
                    yield WeightUse(name, node, node.outputs[0], is_recurrent=True)


def _products(
    node: Node, producers: Mapping[str, Node], shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[WeightUse]:
    if node.attributes.get("transA", 0):
        return
    inputs_first = not node.attributes.get("transB", 0)
    value = node.inputs[1]
    producer = producers.get(value)
    if (
        producer is not None
        and producer.op_type == "Transpose"
        and producer.integers("perm", (1, 0)) == (1, 0)
    ):
        value, inputs_first = producer.inputs[0], not inputs_first
    name = _forwarded(value, producers, shapes)
    if name is not None and len(shapes[name]) == 2:
        yield WeightUse(name, node, node.inputs[0], inputs_first)


def _forwarded(
    value: str, producers: Mapping[str, Node], shapes: Mapping[str, tuple[int, ...]]
) -> str | None:
    """Return the tensor that a value is, possibly by way of Identity and Cast."""
    while value not in shapes:
        node = producers.get(value)
        if node is None or node.op_type not in ("Identity", "Cast"):
            return None
        value = node.inputs[0]
    return value


def _sources(value: str, producers: Mapping[str, Node], shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return the matrices of which a value consists; their rows may be in another order."""
    pending, sources = [value], list[str]()
    while pending:
        value = pending.pop()
        if value in shapes:
            if len(shapes[value]) > 1 and value not in sources:
                sources.append(value)
        elif value in producers and producers[value].op_type in _FORWARDING:
            node = producers[value]
            pending += node.inputs if node.op_type == "Concat" else node.inputs[:1]
    return sources
