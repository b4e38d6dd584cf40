# SPDX-License-Identifier: Apache-2.0
"""Parameters that lie on a grid already, to a stream and back without any change.

The rounds of `train.py` end with parameters that are exactly `level * step`; the encoder is told each step.
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
    """Return the quantisation parameter whose step this is; one exists for every step of `snap_step`.

    Clause: format 4
    """
    exponent = math.floor(math.log2(step))
    k = 1 << QP_DENSITY
    quarter = round((step / 2.0**exponent - 1) * k)
    if (k + quarter) * 2.0 ** (exponent - QP_DENSITY) != step:
        raise ValueError(f"no quantisation parameter of density {QP_DENSITY} gives the step {step}")
    return exponent * k + quarter


def encode_round(path: Path, layers: Sequence[str]) -> tuple[bytes, Tensors]:
    """Encode a round, its hidden units sorted, and decode it again, with the decoded tensors checked against what was encoded.

    Parameters
    ----------
    path : Path
        Tensors on their grids, and each one's step as ``name:step``.
    layers : sequence of str
        From input to output.
    """
    # Training needs no codec: only this step imports it.
    import nnr_codec
    from nnr_codec.transform import sort_units

    with np.load(path) as arrays:
        tensors = sort_units(
            {name: arrays[name] for name in arrays.files if ":" not in name},
            [f"{layer}.weight" for layer in layers],
        )
        qps = tuple((name, qp_for_grid_step(float(arrays[f"{name}:step"]))) for name in tensors)
    # The levels are trained: the encoder's own rate-distortion choice ("medium" and above) would move them.
    config = nnr_codec.EncoderConfig(qp_by_name=qps, qp_density=QP_DENSITY, dependent=False, effort="fast")
    stream = nnr_codec.encode(tensors, config)
    decoded = nnr_codec.decode(stream)
    for name, tensor in tensors.items():
        if not np.array_equal(decoded[name], tensor):
            raise RuntimeError(f"{name} changed on its way through the stream")
    return stream, {name: np.asarray(decoded[name]) for name in tensors}
