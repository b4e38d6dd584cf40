# SPDX-License-Identifier: Apache-2.0
"""Steps of low-rank adapters (LoRA) by the error of the products of their factors.

An adapter changes a weight by a multiple of B·A, with A of few rows and B of as many columns. An error of row k of A counts with
the norm of column k of B, and the other way round, so neither factor's error alone says what the model loses. With independent
errors of the factors, the squared error of the product is that of B·ΔA plus that of ΔB·A. At a given number of bits it is least
if both steps are the same fraction of their factor's Frobenius norm.

Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021.
"""

from __future__ import annotations

import glob
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnr_codec.codec.decode.decoder import Decoder
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.encoder import encode
from nnr_codec.codec.encode.importance import Importance
from nnr_codec.codec.encode.quantize.steps import nearest_qp
from nnr_codec.rate_control.tensor_targets import steps_for_errors

#: Error of a product over that of a matrix: a product is a small change of a weight, so it needs less relative accuracy.
PRODUCT_ERROR = 5.0

# Infixes of the names of A and B: PEFT, PEFT's embeddings, diffusers, and kohya.
_INFIXES = (
    (".lora_A.", ".lora_B."),
    (".lora_embedding_A", ".lora_embedding_B"),
    (".lora.down.", ".lora.up."),
    (".lora_down.", ".lora_up."),
)
_DENSITY = 6
# Within 16 octaves of the estimate, steps stay in the range of quantisation parameters.
_REACH = 16 << _DENSITY


@dataclass(frozen=True)
class FactorPair:
    """Names of the factors of a product B·A."""

    a: str
    b: str


def factor_pairs(names: Iterable[str]) -> list[FactorPair]:
    """Return the pairs of LoRA factors among tensor names, as PEFT, diffusers and kohya spell them.

    >>> factor_pairs(["q.lora_A.weight", "q.lora_B.weight", "head.weight"])
    [FactorPair(a='q.lora_A.weight', b='q.lora_B.weight')]
    """
    pairs = []
    known = dict.fromkeys(names)
    for name in known:
        for infix_a, infix_b in _INFIXES:
            other = infix_b.join(name.rsplit(infix_a, 1))
            if other != name and other in known:
                pairs.append(FactorPair(name, other))
    return pairs


def config_for_adapter(
    tensors: Mapping[str, ArrayLike], config: EncoderConfig, *, threads: int | None = None
) -> EncoderConfig:
    """Set the steps and importances of LoRA factors by the error of their products.

    The relative error of each product, measured on encoded factors, is `PRODUCT_ERROR` times ``relative_error``. Tensors that are
    no factors, or that an option names, keep their options.

    Parameters
    ----------
    tensors : mapping of str to array
    config : EncoderConfig
    threads : int, optional

    Returns
    -------
    EncoderConfig
        The same object if there is nothing to set.

    Raises
    ------
    NotEncodable
    """
    if any(value is not None for value in (config.qp, config.qp_1d, config.bit_depth, config.importance)):
        return config
    steps: list[tuple[str, int]] = []
    importance: dict[str, Importance] = {}
    density = _DENSITY if config.qp_density is None else config.qp_density
    for pair in factor_pairs(tensors):
        if any(_is_named(name, config) for name in (pair.a, pair.b)):
            continue
        product = Product.of(tensors[pair.a], tensors[pair.b])
        if product is None:
            continue
        search = replace(config, qp_density=density, exact=(), keep=(), qp_by_name=())
        qps = product.qps(search, config.relative_error * PRODUCT_ERROR, threads)
        steps += [(glob.escape(name), qp) for name, qp in zip((pair.a, pair.b), qps, strict=True)]
        importance |= dict(zip((pair.a, pair.b), product.importances(), strict=True))
    if not steps:
        return config
    # The names of factors come first, so that a pattern of theirs is not taken for another tensor.
    return replace(config, qp_density=density, qp_by_name=(*config.qp_by_name, *steps), importance=importance)


class Product:
    """Product of two factors, for measuring its error.

    Parameters
    ----------
    a : float32[rank, ...]
    b : float32[m, rank] or float32[m, rank, 1, ...]
    """

    def __init__(self, a: NDArray[np.float32], b: NDArray[np.float32]) -> None:
        self._factors = {"a": a, "b": b}
        self._a, self._b = _matrices(a, b)
        self._norm_a, self._norm_b = float(np.linalg.norm(self._a)), float(np.linalg.norm(self._b))
        self.norm = _norm_of_product(self._b, self._a)

    @classmethod
    def of(cls, a: ArrayLike, b: ArrayLike) -> Product | None:
        """Return the product of two tensors; None if they are no factors, or their product is zero or not finite."""
        a, b = np.asarray(a), np.asarray(b)
        is_pair = (
            a.dtype.kind == b.dtype.kind == "f"
            and min(a.ndim, b.ndim) >= 2
            and min(a.size, b.size) > 0
            and math.prod(b.shape[1:]) == a.shape[0]
        )
        if not is_pair or not (np.isfinite(a).all() and np.isfinite(b).all()):
            return None
        product = cls(a.astype(np.float32), b.astype(np.float32))
        return product if product.norm > 0 else None

    def importances(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the weights of the squared errors of A and B, which broadcast to their shapes."""
        by_row, by_column = np.square(self._b).sum(0), np.square(self._a).sum(1)
        shape_a, shape_b = self._factors["a"].shape, self._factors["b"].shape
        return by_row.reshape(-1, *[1] * (len(shape_a) - 1)), by_column.reshape(1, *shape_b[1:])

    def qps(self, config: EncoderConfig, error: float, threads: int | None = None) -> tuple[int, int]:
        """Return the quantisation parameters of A and B that give the product a relative error.

        Parameters
        ----------
        config : EncoderConfig
            With a density.
        error : float
        threads : int, optional
        """
        density = config.density
        n_vectors = self._a.shape[1] + self._b.shape[0]
        fraction = error * self.norm * math.sqrt(12 / n_vectors) / (self._norm_a * self._norm_b)
        start = tuple(nearest_qp(fraction * norm, density) for norm in (self._norm_a, self._norm_b))

        def measure(shifts: Mapping[str, int]) -> dict[str, float]:
            return {
                name: self._error_at((start[0] + shift, start[1] + shift), config, threads)
                for name, shift in shifts.items()
            }

        shift = steps_for_errors({"": 0}, error, density, measure, lambda _: (-_REACH, _REACH))[""]
        return start[0] + shift, start[1] + shift

    def _error_at(self, qps: tuple[int, int], config: EncoderConfig, threads: int | None) -> float:
        stream = encode(
            self._factors,
            replace(config, qp_by_name=tuple(zip("ab", qps, strict=True))),
            importance=dict(zip("ab", self.importances(), strict=True)),
            threads=threads,
        )
        decoded = Decoder().decode(stream)
        return self.error_of(decoded["a"], decoded["b"])

    def error_of(self, a: NDArray[Any], b: NDArray[Any]) -> float:
        """Return the relative error of the product of decoded factors; the product is not zero."""
        a, b = _matrices(a, b)
        # B·A - B'·A' is (B - B')·A + B'·(A - A'): factors of twice the rank, without cancellation.
        return _norm_of_product(np.hstack([self._b - b, b]), np.vstack([self._a, self._a - a])) / self.norm


def _matrices(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the factors as matrices; those of a convolution have the extents of its kernel."""
    return a.reshape(a.shape[0], -1).astype(np.float64), b.reshape(b.shape[0], -1).astype(np.float64)


def _norm_of_product(b: NDArray[np.float64], a: NDArray[np.float64]) -> float:
    """Return the Frobenius norm of B·A from the Gram matrices of the factors, which are small."""
    return math.sqrt(max(float(np.sum((b.T @ b) * (a @ a.T))), 0.0))


def _is_named(name: str, config: EncoderConfig) -> bool:
    return config.is_exact(name) or config.is_kept(name) or config.qp_for_name(name) is not None
