# SPDX-License-Identifier: Apache-2.0
"""Allocation of the relative error between the matrices of a model, from their names and shapes.

The same relative error disturbs the outputs about equally in every layer, however large the layer is: on seven networks the
shares of the layers differ much less than their sizes. Small layers therefore harm the outputs as much as large ones and save
few bits. With squared disturbances that add up, s e^2 for a layer with relative error e, and a bit saved for each of the n
weights when e doubles, the fewest bits have e proportional to sqrt(n / s), which is sqrt(n) for equal s.

A language model may use its embedding as its last matrix too, which makes it the most sensitive one. It gets no larger error
than the configuration's unless the file shows another last matrix, or an encoder, which has none.
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
    tied = {name for name in sizes if is_embedding_name(name) and _may_be_head(name, shapes)}
    layers = np.array([size for name, size in sizes.items() if name not in tied] or [1], np.float64)
    typical = float(np.average(np.log2(layers), weights=layers))
    factors = {
        name: min(max(2.0 ** (_EXPONENT * (math.log2(size) - typical)), _SMALLEST), _LARGEST)
        for name, size in sizes.items()
    }
    return factors | {name: min(factors[name], 1.0) for name in tied}


def _may_be_head(name: str, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Tell whether a model may use an embedding as its last matrix too."""
    heads = [shapes[other] for other in shapes if _HEAD_NAME.search(other)]
    if heads:
        return not any(len(shape) > 1 and shape[0] == shapes[name][0] for shape in heads)
    return not any(_SEGMENT_NAME.search(other) for other in shapes)
