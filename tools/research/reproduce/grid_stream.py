# SPDX-License-Identifier: Apache-2.0
"""Lossless coding of parameters that lie on a quantisation grid.

The rounds of `train.py` end with parameters that are exactly `level * step`; the encoder gets every step size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

QP_DENSITY = 2

Tensors = dict[str, npt.NDArray[np.float32]]


def qp_for_grid_step(step: float) -> int:
    """Quantisation parameter of a step size; it exists for every result of `snap_step`.

    Clause: format 4
    """
    exponent = math.floor(math.log2(step))
    k = 1 << QP_DENSITY
    quarter = round((step / 2.0**exponent - 1) * k)
    if (k + quarter) * 2.0 ** (exponent - QP_DENSITY) != step:
        raise ValueError(f"no quantisation parameter of density {QP_DENSITY} gives the step {step}")
    return exponent * k + quarter


def encode_round(path: Path, layers: Sequence[str]) -> tuple[bytes, Tensors]:
    """Encode a round with sorted hidden units, decode the stream, and check that it is lossless.

    Parameters
    ----------
    path : Path
        Tensors on their grids, with step sizes as ``name:step``.
    layers : sequence of str
        Layers from input to output.
    """
    # Training does not need the codec; only this function imports it.
    import nnr_codec
    from nnr_codec.transform import sort_units

    with np.load(path) as arrays:
        tensors = sort_units(
            {name: arrays[name] for name in arrays.files if ":" not in name},
            [f"{layer}.weight" for layer in layers],
        )
        qps = tuple((name, qp_for_grid_step(float(arrays[f"{name}:step"]))) for name in tensors)
    # The levels are trained; rate-distortion optimisation (effort "medium" and above) would change them.
    config = nnr_codec.EncoderConfig(qp_by_name=qps, qp_density=QP_DENSITY, dependent=False, effort="fast")
    stream = nnr_codec.encode(tensors, config)
    decoded = nnr_codec.decode(stream)
    for name, tensor in tensors.items():
        if not np.array_equal(decoded[name], tensor):
            raise RuntimeError(f"{name} is not restored losslessly")
    return stream, {name: np.asarray(decoded[name]) for name in tensors}
