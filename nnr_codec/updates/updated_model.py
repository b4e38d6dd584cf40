# SPDX-License-Identifier: Apache-2.0
"""A base with an update applied, as a lazy mapping."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Protocol

from nnr_codec.errors import MalformedBitstream
from nnr_codec.updates.differences import updated
from nnr_codec.updates.low_rank import SUFFIXES, largest_rank, product
from nnr_codec.updates.typed_tensors import Array, TypedTensors, model_digest
from nnr_codec.updates.update_description import KEY, UpdateDescription


class UpdateTensors(TypedTensors, Protocol):
    """Tensors of an update's stream, with its metadata; `nnr_codec.StreamFile` is one."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata of the stream."""


class UpdatedModel(Mapping[str, Array]):
    """Lazy mapping of the tensors of a base with an update applied. Its own updates may build on it in turn.

    Parameters
    ----------
    base : TypedTensors
    update : UpdateTensors
    base_digest : bytes, optional
        `model_digest` of the base, where it is known.

    Raises
    ------
    MalformedBitstream
        The stream is no update, or one of another base, or its description does not fit the base.
    """

    def __init__(self, base: TypedTensors, update: UpdateTensors, base_digest: bytes | None = None) -> None:
        description = UpdateDescription.from_metadata(update.metadata)
        if description is None:
            raise _refused("the stream is no update: it does not name a base")
        actual = base_digest or model_digest(base)
        if actual != description.base:
            raise _refused(
                f"the update is for another base: for the one of digest {description.base.hex()[:16]}..., and this is "
                f"{actual.hex()[:16]}..."
            )
        self._base, self._update = base, update
        self._whole, self._products = description.whole, description.products
        self._names = _names(description, base, update)

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(name)
        if name in self._products:
            change = product(*(self._update[name + suffix] for suffix in SUFFIXES))
        elif name in self._update:
            change = self._update[name]
        else:
            return self._base[name]
        if name in self._whole:
            return change
        return updated(
            self._base[name], change.reshape(self._base.shape_of(name)), self._base.dtype_of(name), name
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def dtype_of(self, name: str) -> str:
        """Return the data type of a tensor, in safetensors' spelling."""
        return (self._update if name in self._whole else self._base).dtype_of(name)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return (self._update if name in self._whole else self._base).shape_of(name)


def _names(description: UpdateDescription, base: TypedTensors, update: TypedTensors) -> dict[str, None]:
    kept = [name for name in base if name not in description.removed]
    factors = {name + suffix: name for name in description.products for suffix in SUFFIXES}
    names = dict.fromkeys([*kept, *(name for name in update if name not in base and name not in factors)])
    if description.order:
        if len(description.order) != len(names) or set(description.order) != set(names):
            raise _refused("the order of the update names other tensors than base and stream have")
        names = dict.fromkeys(description.order)
    for name in description.whole:
        if name not in update:
            raise _refused(f"the tensor {name[:64]!r} of the update is missing")
    for name in description.products:
        _check_product(name, base, update)
    for name in update:
        if name in description.whole or name in factors:
            continue
        if name not in base or name in description.removed:
            raise _refused(f"the difference {name[:64]!r} is to a tensor that the base does not have")
        if update.shape_of(name) != base.shape_of(name):
            raise _refused(f"the difference {name[:64]!r} has another shape than the base")
    return names


def _check_product(name: str, base: TypedTensors, update: TypedTensors) -> None:
    factors = [name + suffix for suffix in SUFFIXES]
    if any(factor in base for factor in factors):
        raise _refused(f"a factor of the difference {name[:64]!r} has the name of a tensor of the base")
    g, h = (update.shape_of(factor) if factor in update else () for factor in factors)
    shape = base.shape_of(name) if name in base and name not in update else ()
    if len(g) != 2 or len(h) != 2 or len(shape) < 2 or g[1] != h[0]:
        raise _refused(f"the difference {name[:64]!r} has no two factors")
    if (g[0], h[1]) != (shape[0], math.prod(shape[1:])):
        raise _refused(f"the difference {name[:64]!r} has another shape than the base")
    if g[1] > largest_rank(shape):
        raise _refused(f"the factors of the difference {name[:64]!r} are larger than an update's may be")


def _refused(reason: str) -> MalformedBitstream:
    return MalformedBitstream(reason, path=f"metadata[{KEY}]")
