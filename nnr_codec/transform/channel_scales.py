# SPDX-License-Identifier: Apache-2.0
"""Exact reparametrisation: scales of channels, moved from the rows that produce a channel into the columns that consume it.

A uniform step treats all columns of a weight alike, but inputs differ in size. Columns multiplied by a power of the root mean
square of their inputs get smaller errors where inputs are large; the norm, projection or convolution before them divides the
channel, so that the network computes the same function up to rounding, in any decoder and any runtime.

Clause: AWQ (MLSys 2024), SmoothQuant (ICML 2023)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Largest scale of a channel relative to the geometric mean, and inverse of the smallest.
_LARGEST = 64.0
# Weights behind a norm, and pairs of a producer and a consumer, of one layer of the Llama family.
_LLAMA_NORMS = {
    "input_layernorm.weight": (
        "self_attn.q_proj.weight",
        "self_attn.k_proj.weight",
        "self_attn.v_proj.weight",
    ),
    "post_attention_layernorm.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
}
_LLAMA_LAYER = re.compile(r"(.*\blayers\.\d+\.)input_layernorm\.weight")
_BERT_LAYER = re.compile(r"(.*\blayer\.\d+\.)attention\.self\.value\.weight")


@dataclass(frozen=True)
class ScaleMove:
    """Channels whose scale can move.

    Attributes
    ----------
    producers : tuple of str
        Tensors whose first dimension is the channels: norm weight, projection, bias. Nothing but `consumers` uses the channels,
        and only linear operations and ones that commute with scales lie between.
    consumers : tuple of str
        Weights [outputs, channels, ...].
    heads_per_producer : int
        Consumers have this many heads for each head of the producer, as in grouped-query attention.
    head_size : int
        Channels of a head; 0 without heads.
    """

    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    heads_per_producer: int = 1
    head_size: int = 0

    def consumed(self, scales: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scale of each channel of the consumers from those of the producers."""
        if self.heads_per_producer == 1:
            return scales
        return scales.reshape(-1, self.head_size).repeat(self.heads_per_producer, axis=0).reshape(-1)

    def produced(self, squares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of a quantity of the consumers' channels for each channel of the producers."""
        if self.heads_per_producer == 1:
            return squares
        by_head: NDArray[np.float64] = squares.reshape(-1, self.heads_per_producer, self.head_size).mean(1)
        return by_head.reshape(-1)


def transformer_moves(
    names: Collection[str], head_size: int = 0, heads_per_producer: int = 1
) -> Iterator[ScaleMove]:
    """Find the moves in a state dict of the Llama family (Llama, Mistral, Qwen2, SmolLM) or of BERT.

    Norms scale the inputs of the projections behind them, up-projections those of down-projections, and value projections those
    of output projections. A BERT layer ends with a norm whose output is also a residual, so that only the last kind is exact.

    Parameters
    ----------
    names : collection of str
        Names of the state dict.
    head_size : int
        Channels of an attention head; required if `heads_per_producer` is above 1.
    heads_per_producer : int
        Query heads per key and value head.
    """
    for name in names:
        llama, bert = _LLAMA_LAYER.fullmatch(name), _BERT_LAYER.fullmatch(name)
        if llama is not None:
            prefix = llama[1]
            for norm, weights in _LLAMA_NORMS.items():
                yield from _complete(names, (prefix + norm,), tuple(prefix + weight for weight in weights))
            yield from _complete(
                names, _with_bias(names, f"{prefix}mlp.up_proj"), (f"{prefix}mlp.down_proj.weight",)
            )
            value = _with_bias(names, f"{prefix}self_attn.v_proj")
            yield from _complete(
                names, value, (f"{prefix}self_attn.o_proj.weight",), heads_per_producer, head_size
            )
        elif bert is not None:
            value = _with_bias(names, f"{bert[1]}attention.self.value")
            yield from _complete(names, value, (f"{bert[1]}attention.output.dense.weight",))


def _with_bias(names: Collection[str], module: str) -> tuple[str, ...]:
    return (f"{module}.weight", f"{module}.bias") if f"{module}.bias" in names else (f"{module}.weight",)


def _complete(
    names: Collection[str],
    producers: tuple[str, ...],
    consumers: tuple[str, ...],
    heads: int = 1,
    head_size: int = 0,
) -> Iterator[ScaleMove]:
    if all(name in names for name in (*producers, *consumers)):
        yield ScaleMove(producers, consumers, heads, head_size)


def channel_scales(
    move: ScaleMove, mean_squares: Mapping[str, NDArray[np.floating]], *, exponent: float = 0.5
) -> NDArray[np.float64]:
    """Return the scales that a move gives the columns of its consumers.

    Parameters
    ----------
    move : ScaleMove
    mean_squares : mapping of str to float[channels]
        Mean square of each input of the consumers, such as the diagonal of a `Curvature`. All consumers have the same inputs;
        where several are in the mapping, their mean counts.
    exponent : float
        Power of the root mean square.

    Returns
    -------
    float64[producer channels]
        With a geometric mean of 1; channels without inputs have scale 1.

    Raises
    ------
    KeyError
        No consumer has mean squares.
    """
    present = [np.asarray(mean_squares[name], np.float64) for name in move.consumers if name in mean_squares]
    if not present:
        raise KeyError(move.consumers[0])
    squares = move.produced(np.mean([values / values.mean() for values in present], axis=0))
    is_used = squares > 0
    scales = np.ones(len(squares))
    if is_used.any():
        scales[is_used] = squares[is_used] ** (exponent / 2)
        scales[is_used] /= np.exp(np.mean(np.log(scales[is_used])))
    return np.clip(scales, 1 / _LARGEST, _LARGEST)


def move_scales(
    tensors: Mapping[str, NDArray[Any]], moves: Mapping[ScaleMove, NDArray[np.float64]]
) -> dict[str, NDArray[Any]]:
    """Multiply the columns of consumers, and divide the rows of producers.

    Parameters
    ----------
    tensors : mapping of str to float array
    moves : mapping of ScaleMove to float64[producer channels]
        Scales by move. No two moves have a producer in common, or a consumer.

    Returns
    -------
    dict of str to array
        All tensors, in their types.
    """
    result = dict(tensors)
    for move, scales in moves.items():
        columns = move.consumed(scales)
        for name in move.producers:
            array = np.asarray(result[name])
            shape = (-1, *(1,) * (array.ndim - 1))
            result[name] = (array / scales.reshape(shape)).astype(array.dtype)
        for name in move.consumers:
            array = np.asarray(result[name])
            shape = (1, -1, *(1,) * (array.ndim - 2))
            result[name] = (array * columns.reshape(shape)).astype(array.dtype)
    return result
