# SPDX-License-Identifier: Apache-2.0
"""From weights to levels and back."""

from nnr_codec.quant.dequantize import dequantize
from nnr_codec.quant.quantize import quantize_dependent, quantize_uniform
from nnr_codec.quant.step_size import qp_for_step, step_size

__all__ = ["dequantize", "qp_for_step", "quantize_dependent", "quantize_uniform", "step_size"]
