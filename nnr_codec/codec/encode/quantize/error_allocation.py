# SPDX-License-Identifier: Apache-2.0
"""Allocation of the relative error between the matrices of a model, from their names and shapes.

The same relative error disturbs the outputs about equally in every layer, however large the layer is: on seven networks the
shares of the layers differ much less than their sizes. Small layers therefore harm the outputs as much as large ones and save
few bits. With squared disturbances that add up, s e^2 for a layer with relative error e, and a bit saved for each of the n
weights when e doubles, the fewest bits have e proportional to sqrt(n / s), which is sqrt(n) for equal s.

Roles within a transformer shift that by half an octave, as measured on a language model and a sentence encoder: softmax damps the
errors of queries and keys, and values and down projections are the most sensitive. No layer follows the last matrix and damps
its errors, so it has half the error at most. A language model may use its embedding as its last matrix too, unless the file
shows another last matrix, or an encoder, which has none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np

from nnr_codec.codec.encode.quantize.tensor_roles import is_embedding_name, is_vector

_EXPONENT = 0.5
# Six bits more for each weight of a tiny layer are few bytes. Beyond, its errors are below those of the vectors.
_SMALLEST = 2.0**-6
# In a model with one dominant matrix, the typical size is nearly its own. Only a mixture of very unequal ones exceeds this.
_LARGEST = 4.0

_ATTENTION_NAME = r"(^|[._/])(attn_|w)?({})(_proj|_lin)?([._/](weight|kernel))?$"
# Roles by name, and the octaves by which their errors differ from those of other layers of their size.
_ROLE_OCTAVES = (
    (re.compile(_ATTENTION_NAME.format("q|k|query|key"), re.IGNORECASE), 0.5),
    (re.compile(_ATTENTION_NAME.format("v|value"), re.IGNORECASE), -0.5),
    (re.compile(r"(^|[._/])(attn_output|o_proj|wo)([._/](weight|kernel))?$", re.IGNORECASE), 0.5),
    (re.compile(r"ffn_gate|gate_proj", re.IGNORECASE), 0.5),
    (re.compile(r"ffn_down|down_proj", re.IGNORECASE), -0.5),
)
# Last matrices: an octave less, and the largest factors.
_OUTPUT_NAME = re.compile(
    r"(^|[._/])(lm_head|embed_out|classifier|logits|head)([._/](weight|kernel))?$|^output\.weight$",
    re.IGNORECASE,
)
_OUTPUT_OCTAVES = -1.0
_LARGEST_OUTPUT = 0.5
_LARGEST_TIED = 2.0**-0.5
# Last matrices of language models, and the rest of those that share the embedding's weights.
_HEAD_NAME = re.compile(
    r"lm_head|embed_out|(^|[._])(output|decoder)[._]weight$|(^|[._])predictions[._]", re.IGNORECASE
)
# Embeddings of the two sentences of a pair: encoders of the BERT family.
_SEGMENT_NAME = re.compile(r"token_type_embed|segment_embed", re.IGNORECASE)


def error_factors(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, float]:
    """Return the relative error of every matrix and convolution as a multiple of the configuration's.

    The mean of its logarithm over the weights of layers is 0, so that a model takes about the same bits as with equal errors.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shapes of all tensors of the model, by name. Vectors and empty tensors get no factor.
    """
    sizes = {
        name: math.prod(shape) for name, shape in shapes.items() if 0 not in shape and not is_vector(shape)
    }
    last = {name: bound for name in sizes if (bound := _largest_of_last(name, shapes)) is not None}
    layers = [name for name in sizes if name not in last] or list(sizes)
    octaves = {name: _EXPONENT * math.log2(size) + _role_octaves(name) for name, size in sizes.items()}
    weights = [sizes[name] for name in layers]
    typical = float(np.average([octaves[name] for name in layers], weights=weights)) if layers else 0.0
    factors = {name: min(max(2.0 ** (octaves[name] - typical), _SMALLEST), _LARGEST) for name in sizes}
    if len(sizes) > 1:
        factors |= {name: min(factors[name], bound) for name, bound in last.items()}
    return factors


def _role_octaves(name: str) -> float:
    if _OUTPUT_NAME.search(name):
        return _OUTPUT_OCTAVES
    return next((octaves for pattern, octaves in _ROLE_OCTAVES if pattern.search(name)), 0.0)


def _largest_of_last(name: str, shapes: Mapping[str, tuple[int, ...]]) -> float | None:
    """Return the largest factor of a matrix that may be the last one; None for others."""
    if _OUTPUT_NAME.search(name):
        return _LARGEST_OUTPUT
    return _LARGEST_TIED if is_embedding_name(name) and _may_be_head(name, shapes) else None


def _may_be_head(name: str, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Tell whether a model may use an embedding as its last matrix too."""
    heads = [shapes[other] for other in shapes if _HEAD_NAME.search(other)]
    if heads:
        return not any(len(shape) > 1 and shape[0] == shapes[name][0] for shape in heads)
    return not any(_SEGMENT_NAME.search(other) for other in shapes)
