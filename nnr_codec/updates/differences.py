# SPDX-License-Identifier: Apache-2.0
"""Differences between a model and its base, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from nnr_codec.codec.element_storage import STORAGE, narrow, widen
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.transform import Block
from nnr_codec.updates.low_rank import SUFFIXES, low_rank_block, worthwhile_rank
from nnr_codec.updates.typed_tensors import Array, TypedTensors

# The steps of all differences lie within the 64 octaves that quantisation parameters reach from one base.
_SMALLEST_SCALE, _LARGEST_SCALE = 2.0**-40, 2.0**12


@dataclass
class Comparison:
    """Comparison of a model with its base.

    Attributes
    ----------
    scales : dict of str to float
        Root mean square of each difference, for the tensors sent as differences.
    whole : list of str
        Tensors sent whole: new ones, changed ones of another shape or type, and changed ones without differences.
    unchanged : list of str
    removed : list of str
        Tensors of the base that the model does not have.
    """

    scales: dict[str, float] = field(default_factory=dict)
    whole: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def compare(model: TypedTensors, base: TypedTensors) -> Comparison:
    """Compare a model with its base. Two tensors are in memory at a time."""
    result = Comparison(removed=[name for name in base if name not in model])
    for name in model:
        if not _is_comparable(name, model, base):
            result.whole.append(name)
            continue
        new, before = model[name], base[name]
        if new.tobytes() == before.tobytes():
            result.unchanged.append(name)
        elif not _has_differences(model.dtype_of(name)):
            result.whole.append(name)
        else:
            scale = _root_mean_square(difference(new, before))
            if _SMALLEST_SCALE < scale < _LARGEST_SCALE:
                result.scales[name] = scale
            else:
                # Also elements that are no numbers, and a change of the sign of zeros only.
                result.whole.append(name)
    return result


class Differences(Mapping[str, "Array | Block"]):
    """Lazy mapping of the tensors of an update: differences as float32 or as products, and whole tensors.

    Parameters
    ----------
    model, base : TypedTensors
    comparison : Comparison
    rank : int or None
        Rank of the products; None for none.
    config : EncoderConfig, optional
        Tensors that it keeps as they are, or exact, are no products.
    """

    def __init__(
        self,
        model: TypedTensors,
        base: TypedTensors,
        comparison: Comparison,
        rank: int | None = None,
        config: EncoderConfig | None = None,
    ) -> None:
        self._model, self._base = model, base
        self._scales = comparison.scales
        self._ranks = {} if rank is None else self._worthwhile_ranks(rank, config or EncoderConfig())
        sent = {*comparison.scales, *comparison.whole}
        self._names = [name for name in model if name in sent]

    def __getitem__(self, name: str) -> Array | Block:
        if name not in self._scales:
            return self._model[name]
        change = difference(self._model[name], self._base[name])
        return low_rank_block(change, self._ranks[name]) if name in self._ranks else change

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def products(self) -> frozenset[str]:
        """Names of the differences sent as products."""
        return frozenset(self._ranks)

    def dtype_of(self, name: str) -> str:
        """Return the data type that the stream describes."""
        return "F32" if name in self._scales else self._model.dtype_of(name)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self._model.shape_of(name)

    def _worthwhile_ranks(self, rank: int, config: EncoderConfig) -> dict[str, int]:
        ranks = {}
        for name in self._scales:
            if config.is_kept(name) or config.is_exact(name):
                continue
            factors = [name + suffix for suffix in SUFFIXES]
            if not any(factor in self._model or factor in self._base for factor in factors):
                ranks[name] = worthwhile_rank(self._model.shape_of(name), rank)
        return {name: value for name, value in ranks.items() if value}


def difference(new: Array, before: Array) -> Array:
    """Return the difference of two tensors of one floating-point type, as float32[shape]."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.subtract(new, before, dtype=np.result_type(new.dtype, np.float32)).astype(np.float32)


def updated(before: Array, change: Array, tag: str, name: str) -> Array:
    """Return a tensor of the base plus its difference, in the data type of the base.

    Parameters
    ----------
    before : ndarray[shape]
    change : float32[shape]
    tag : str
        Data type of the base, in safetensors' spelling.
    name : str
    """
    total = np.add(before, change, dtype=np.result_type(before.dtype, np.float32))
    return widen(narrow(total, tag, name), tag).reshape(before.shape)


def _is_comparable(name: str, model: TypedTensors, base: TypedTensors) -> bool:
    return (
        name in base
        and model.dtype_of(name) == base.dtype_of(name)
        and model.shape_of(name) == base.shape_of(name)
    )


def _has_differences(tag: str) -> bool:
    return tag in STORAGE and tag[0] in "FB" and tag != "BOOL"


def _root_mean_square(values: Array) -> float:
    largest = float(np.abs(values).max(initial=0.0))
    if not 0 < largest < math.inf:
        return largest
    return largest * math.sqrt(float(np.mean(np.square(values / np.float32(largest), dtype=np.float64))))
