# SPDX-License-Identifier: Apache-2.0
"""Quantisation of weights to levels, and dequantisation."""

from nnr_codec.quant.curvature import Curvature
from nnr_codec.quant.dequantize import dequantize
from nnr_codec.quant.feedback import quantize_feedback
from nnr_codec.quant.quantize import quantize_dependent, quantize_uniform, raise_unless_in_range
from nnr_codec.quant.rdo import DEPENDENT_MSE, UNIFORM_MSE, matched_lambda, mse_per_step, quantize_rdo
from nnr_codec.quant.step_size import qp_for_step, qp_value_range, step_size

__all__ = [
    "DEPENDENT_MSE",
    "UNIFORM_MSE",
    "Curvature",
    "dequantize",
    "matched_lambda",
    "mse_per_step",
    "qp_for_step",
    "qp_value_range",
    "quantize_dependent",
    "quantize_feedback",
    "quantize_rdo",
    "quantize_uniform",
    "raise_unless_in_range",
    "step_size",
]
