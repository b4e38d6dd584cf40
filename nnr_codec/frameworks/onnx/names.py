# SPDX-License-Identifier: Apache-2.0
"""Unique names for everything a model stores, which depend on the graph alone.

A model and its topology give the same names, so that the writer resolves those of a stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nnr_codec.frameworks.onnx import schema
from nnr_codec.frameworks.onnx.schema import CHILDREN, Kind
from nnr_codec.frameworks.onnx.tree import Message, Tensor, ValueList

Stored = Tensor | ValueList


class Place(NamedTuple):
    """A tensor or list, where it is in the model."""

    element: Stored
    label: str  #: the name a person would give it; empty where there is none
    scope: str  #: path of the innermost graph: "" or ``node[3].then_branch``
    path: str  #: path from the model: ``node[3].then_branch.node[0].value``
    is_initializer: bool  #: a dense initialiser of a graph


def places(model: Message) -> Iterator[Place]:
    """Walk over a model's tensors and lists in the file's order."""
    return _places(model, "", "", "")


def assign_names(model: Message) -> dict[str, Place]:
    """Name everything a model stores.

    Initialisers of the main graph keep their names. Initialisers of inner graphs keep theirs, and tensors of
    Constant nodes have their output's, unless the name is in use; the path of their graph precedes it then.
    Everything else is named by its path. Numbers resolve what still collides, in the file's order.

    Returns
    -------
    dict of str to Place
        In the file's order. ``Tensor.name`` and ``ValueList.name`` are set.
    """
    everything = list(places(model))
    owners: dict[str, Stored] = {}
    numbers: dict[str, int] = {}
    for place in everything:
        if place.is_initializer and not place.scope and place.label:
            owners.setdefault(place.label, place.element)
    for place in everything:
        if owners.get(place.label) is place.element:
            place.element.name = place.label
            continue
        name = place.label
        if not name or name in owners:
            name = f"{place.scope}.{place.label}" if place.scope and place.label else place.path
        base = name
        while name in owners:
            # Counting on from the last number keeps many equal names from taking quadratic time.
            numbers[base] = numbers.get(base, 1) + 1
            name = f"{base}~{numbers[base]}"
        owners[name] = place.element
        place.element.name = name
    return {place.element.name: place for place in everything}


def _places(message: Message, path: str, scope: str, label: str) -> Iterator[Place]:
    for part in message.parts:
        if isinstance(part, bytes):
            continue
        if isinstance(part, ValueList):
            yield Place(part, "", scope, path, is_initializer=False)
            continue
        child = CHILDREN[message.kind][part.number]
        index = f"[{part.index}]" if child.repeated else ""
        if isinstance(part, Tensor):
            is_initializer = message.kind is Kind.GRAPH
            if message.kind is Kind.ATTRIBUTE:
                yield Place(part, label if not index else "", scope, path + index, is_initializer=False)
            elif message.kind is Kind.SPARSE:
                label = label or part.own_name
                suffix = ".indices" if child.label == "indices" else ""
                inner = label + suffix if label else ""
                yield Place(part, inner, scope, f"{path}.{child.label}", is_initializer=False)
            else:
                inner = _join(path, child.label + index)
                yield Place(part, part.own_name, scope, inner, is_initializer)
        elif part.kind is Kind.ATTRIBUTE:
            # The name of Constant's output says more than the attribute's.
            names_output = message.is_constant and part.label in ("value", "sparse_value")
            inner = message.label if names_output else ""
            yield from _places(part, _join(path, part.label or f"attribute{index}"), scope, inner)
        elif message.kind is Kind.ATTRIBUTE:
            inner_scope = path + index if part.kind is Kind.GRAPH else scope
            yield from _places(part, path + index, inner_scope, label)
        elif message.kind is Kind.MODEL and part.number == schema.MODEL_GRAPH:
            yield from _places(part, "", "", "")
        else:
            inner = _join(path, child.label + index)
            is_scope = part.kind in (Kind.GRAPH, Kind.FUNCTION)
            yield from _places(part, inner, inner if is_scope else scope, "")


def _join(path: str, segment: str) -> str:
    return f"{path}.{segment}" if path else segment
