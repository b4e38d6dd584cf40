# SPDX-License-Identifier: Apache-2.0
"""Selection of the model's tensors among the objects of a checkpoint.

The rule, by structure and not by a list of names:

1. ``key`` names the entry that is the model; "." is everything.
2. Otherwise the candidates are the outermost dictionaries with tensors among their values, and pickled
   modules. A dictionary with ``state`` and ``param_groups`` is an optimizer's and no candidate. Dictionaries whose
   only tensors are counters (a single element) or integers, such as a random state beside the model, give way to
   candidates inside them.
3. A single candidate is the model. Of several, the one under ``state_dict``, ``model_state_dict`` or ``model``
   is, where exactly one of these keys holds candidates. Otherwise the file is refused, with the candidates' keys.

Names join keys with dots. Entries without tensors are left out, and reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.pytorch.rebuild import numpy_tensor
from nnr_codec.frameworks.pytorch.values import NumpyArray, Placeholder, Tensor

CONVENTIONAL_KEYS = ("state_dict", "model_state_dict", "model")
_MAX_DEPTH = 64
_MAX_VISITS = 2_000_000
_MODULE_PARTS = ("_parameters", "_buffers")


@dataclass
class Selection:
    """The tensors of the model, and the entries that are not part of it."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


class Checkpoint:
    """The objects of a PyTorch file.

    Parameters
    ----------
    root : object
        From the restricted unpickler.
    path : str
        The file, for errors.
    """

    def __init__(self, root: Any, path: str) -> None:
        self._root = root
        self._path = path
        self._visits = 0
        self._holds: dict[int, bool] = {}

    def select(self, key: str | None, *, optimizer: bool) -> Selection:
        """Return the model.

        Parameters
        ----------
        key : str, optional
            The entry to take.
        optimizer : bool
            Add the tensors of optimizers.

        Raises
        ------
        NotEncodable
            There is no tensor, no such entry, or no single candidate.
        """
        place = self._place(key)
        node = self._node(place)
        selection = Selection()
        for name, value in self._leaves(node, (), 0):
            tensor = _tensor(value)
            label = ".".join(name) or "tensor"
            if tensor is None or tensor.layout == "meta":
                selection.left_out.append(label)
            elif label in selection.tensors:
                raise NotEncodable("two entries have this name", path=f"{self._path}: {label}")
            else:
                selection.tensors[label] = tensor
        if not selection.tensors:
            raise NotEncodable("the file holds no tensors", path=self._path)
        self._leave_out_siblings(place, selection)
        if optimizer:
            self._add_optimizers(place, selection)
        return selection

    def _place(self, key: str | None) -> tuple[Any, ...]:
        if key is not None:
            return () if key == "." else self._resolved(key)
        for counters in (False, True):
            candidates = list(self._candidates(self._root, (), 0, counters=counters))
            if len(candidates) == 1:
                return candidates[0]
            if candidates:
                return self._conventional(candidates)
        return ()

    def _conventional(self, candidates: list[tuple[Any, ...]]) -> tuple[Any, ...]:
        under = {place[0] for place in candidates if place} & set(CONVENTIONAL_KEYS)
        if len(under) == 1:
            top = under.pop()
            inside = [place for place in candidates if place and place[0] == top]
            return inside[0] if len(inside) == 1 else (top,)
        names = ", ".join(".".join(map(str, place)) for place in candidates[:8])
        raise NotEncodable(
            f"several entries could be the model: {names}; choose one with --key (or key=), or all with --key .",
            path=self._path,
        )

    def _candidates(
        self, node: Any, place: tuple[Any, ...], depth: int, *, counters: bool
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the places of dictionaries that could be the model."""
        self._visit(depth)
        if _is_module(node):
            if self._holds_tensors(node, depth):
                yield place
            return
        children = _children(node)
        if children is None or _is_optimizer(node):
            return
        tensors = [tensor for _, value in children if (tensor := _tensor(value)) is not None]
        inside: list[tuple[Any, ...]] = []
        for name, child in children:
            if _children(child) is not None:
                inside += self._candidates(child, (*place, name), depth + 1, counters=counters)
        if isinstance(node, list | tuple):
            # Tensors in a row belong to the dictionary around them.
            yield from inside
            return
        weights = [t for t in tensors if t.n_elements > 1 and not _is_integer(t)]
        significant = bool(tensors) if counters and not inside else bool(weights)
        if inside and (not weights or any(p[len(place)] in CONVENTIONAL_KEYS for p in inside)):
            yield from inside
        elif significant or (not inside and any(t.n_elements > 1 for t in tensors)):
            yield place
        else:
            yield from inside

    def _holds_tensors(self, node: Any, depth: int) -> bool:
        return any(_tensor(value) is not None for _, value in self._leaves(node, (), depth))

    def _leaves(self, node: Any, name: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
        """Yield tensors, and the outermost values without tensors, with their names."""
        self._visit(depth)
        if _tensor(node) is not None:
            yield name, node
            return
        children = _children(node)
        if children is None or not self._contains_tensor(node, depth):
            # Modules have many attributes that nobody misses.
            yield name, None
            return
        for key, child in children:
            if _is_module(node) and _tensor(child) is None and not self._contains_tensor(child, depth + 1):
                continue
            transparent = _is_module(node) and key in (*_MODULE_PARTS, "_modules")
            yield from self._leaves(child, name if transparent else (*name, str(key)), depth + 1)

    def _contains_tensor(self, node: Any, depth: int) -> bool:
        """Return whether there is a tensor anywhere in an object."""
        if _tensor(node) is not None:
            return True
        known = self._holds.get(id(node))
        if known is not None:
            return known
        children = _children(node)
        if children is None:
            return False
        self._visit(depth)
        # An object inside itself adds nothing.
        self._holds[id(node)] = False
        result = any(self._contains_tensor(child, depth + 1) for _, child in children)
        self._holds[id(node)] = result
        return result

    def _visit(self, depth: int) -> None:
        self._visits += 1
        if depth > _MAX_DEPTH or self._visits > _MAX_VISITS:
            raise NotEncodable("the objects are nested too deep", path=self._path)

    def _resolved(self, key: str) -> tuple[Any, ...]:
        place: list[Any] = []
        node, rest = self._root, key
        while rest:
            children = {str(name): (name, child) for name, child in _children(node) or ()}
            # Keys may have dots themselves: the longest that matches counts.
            matching = [name for name in children if rest == name or rest.startswith(name + ".")]
            if not matching:
                known = ", ".join(list(children)[:8]) or "nothing"
                raise NotEncodable(f"the file has no entry {key!r}; there it holds {known}", path=self._path)
            longest = max(matching, key=len)
            name, node = children[longest]
            place.append(name)
            rest = rest[len(longest) + 1 :]
        return tuple(place)

    def _node(self, place: tuple[Any, ...]) -> Any:
        node = self._root
        for key in place:
            node = next(child for name, child in _children(node) or () if name == key)
        return node

    def _leave_out_siblings(self, place: tuple[Any, ...], selection: Selection) -> None:
        node, prefix = self._root, ""
        siblings: list[str] = []
        for key in place:
            for name, child in _children(node) or ():
                if name != key:
                    siblings.append(f"{prefix}{name}")
                else:
                    chosen = child
            node, prefix = chosen, f"{prefix}{key}."
        selection.left_out[:0] = siblings

    def _add_optimizers(self, place: tuple[Any, ...], selection: Selection) -> None:
        for path, node in self._optimizers(self._root, (), 0):
            if path[: len(place)] == place and place:
                continue
            for name, value in self._leaves(node, tuple(map(str, path)), 0):
                tensor = _tensor(value)
                label = ".".join(name)
                if tensor is not None and tensor.layout != "meta":
                    if selection.tensors.get(label, tensor) is not tensor:
                        raise NotEncodable("two entries have this name", path=f"{self._path}: {label}")
                    selection.tensors[label] = tensor
            top = ".".join(map(str, path))
            selection.left_out = [
                entry for entry in selection.left_out if entry != top and not top.startswith(f"{entry}.")
            ]

    def _optimizers(
        self, node: Any, place: tuple[Any, ...], depth: int
    ) -> Iterator[tuple[tuple[Any, ...], Any]]:
        self._visit(depth)
        if _is_optimizer(node):
            yield place, node
            return
        if _is_module(node):
            return
        for name, child in _children(node) or ():
            if _children(child) is not None:
                yield from self._optimizers(child, (*place, name), depth + 1)


def _tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    return numpy_tensor(value) if isinstance(value, NumpyArray) else None


def _children(node: Any) -> list[tuple[Any, Any]] | None:
    """Return the members of a container or placeholder; None for values without members."""
    if isinstance(node, Mapping):
        return list(node.items())
    if isinstance(node, list | tuple):
        return list(enumerate(node))
    if isinstance(node, Placeholder):
        members: list[tuple[Any, Any]] = list(node.entries.items())
        members += enumerate(node.items)
        members += _state_members(node.state)
        members += [
            (f"argument{index}", argument)
            for index, argument in enumerate(node.arguments)
            if isinstance(argument, Tensor | Placeholder | Mapping | list | tuple | NumpyArray)
        ]
        return members
    return None


def _state_members(state: Any) -> list[tuple[Any, Any]]:
    if isinstance(state, Mapping):
        return list(state.items())
    if isinstance(state, Tensor):
        return [("state", state)]
    if not isinstance(state, list | tuple):
        return []
    if all(part is None or isinstance(part, Mapping) for part in state):
        # Objects with slots have a dictionary for them beside their own.
        return [member for part in state if part for member in part.items()]
    return list(enumerate(state))


def _is_module(node: Any) -> bool:
    """Return whether a placeholder is a pickled module, or one of TorchScript."""
    if not isinstance(node, Placeholder):
        return False
    state = node.state
    if node.type_name.startswith("__torch__.") and isinstance(state, Mapping):
        return True
    return isinstance(state, Mapping) and "_parameters" in state and "_modules" in state


def _is_optimizer(node: Any) -> bool:
    return isinstance(node, Mapping) and "param_groups" in node and "state" in node


def _is_integer(tensor: Tensor) -> bool:
    return tensor.is_plain and ("int" in tensor.dtype or tensor.dtype == "bool")
