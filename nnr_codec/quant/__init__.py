# SPDX-License-Identifier: Apache-2.0
"""From weights to levels and back."""

from nnr_codec.quant.curvature import Curvature
from nnr_codec.quant.dequantize import dequantize
from nnr_codec.quant.feedback import quantize_feedback
from nnr_codec.quant.quantize import quantize_dependent, quantize_uniform, raise_unless_in_range
from nnr_codec.quant.rdo import DEPENDENT_MSE, UNIFORM_MSE, matched_lambda, quantize_rdo
from nnr_codec.quant.step_size import qp_for_step, step_size

__all__ = [
    "DEPENDENT_MSE",
    "UNIFORM_MSE",
    "Curvature",
    "dequantize",
    "matched_lambda",
    "qp_for_step",
    "quantize_dependent",
    "quantize_feedback",
    "quantize_rdo",
    "quantize_uniform",
    "raise_unless_in_range",
    "step_size",
]
