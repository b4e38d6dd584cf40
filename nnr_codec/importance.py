# SPDX-License-Identifier: Apache-2.0
"""Importance of weights: building it from a PyTorch model and data, dividing bits by it, and the types that carry it.

``encode(tensors, importance=...)`` and ``compress_to_quality(..., importance=...)`` use it. PyTorch is needed by the functions
that run a model, and imported when one is called.
"""

from nnr_codec.codec.encode.importance import Importance
from nnr_codec.frameworks.torch_importance import (
    fisher_information,
    inverse_variances,
    layer_curvatures,
    output_sensitivity,
)
from nnr_codec.quant import Curvature
from nnr_codec.rate_control.allocation import allocate, reallocate

__all__ = [
    "Curvature",
    "Importance",
    "allocate",
    "fisher_information",
    "inverse_variances",
    "layer_curvatures",
    "output_sensitivity",
    "reallocate",
]
