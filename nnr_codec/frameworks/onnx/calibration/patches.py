# SPDX-License-Identifier: Apache-2.0
"""Inputs of the weights of a convolution: one patch per output position.

Shapes: n batch, c channels, k elements of the kernel, p positions.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nnr_codec.frameworks.onnx.calibration.graph import Node

# Patches per sample; neighbouring patches overlap, so that more of them tell little.
_MOST_POSITIONS = 512


def patches(x: NDArray[np.float32], node: Node, kernel: tuple[int, ...]) -> NDArray[np.float32]:
    """Return patches of a convolution, evenly distributed over its output positions.

    Parameters
    ----------
    x : float32[n, c, ...]
    node : Node
        Conv.
    kernel : tuple of int
        Extents of the kernel.

    Returns
    -------
    float32[n, p, c, k]

    Clause: ONNX Conv
    """
    n_axes = len(kernel)
    strides = node.integers("strides", (1,) * n_axes)
    dilations = node.integers("dilations", (1,) * n_axes)
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    padding = _padding(node, x.shape[2:], reach, strides)
    if any(before or after for before, after in padding):
        x = np.pad(x, [(0, 0), (0, 0), *padding])
    axes = tuple(range(2, 2 + n_axes))
    windows = sliding_window_view(x, reach, axes)
    by_stride = tuple(slice(None, None, stride) for stride in strides)
    by_dilation = tuple(slice(None, None, dilation) for dilation in dilations)
    batch_and_channels = (slice(None),) * 2
    windows = windows[batch_and_channels + by_stride + by_dilation]
    moved = windows.transpose(0, *axes, 1, *(axis + n_axes for axis in axes))
    extents = moved.shape[1 : 1 + n_axes]
    n_positions = int(np.prod(extents))
    chosen = np.linspace(0, n_positions - 1, min(n_positions, _MOST_POSITIONS)).astype(np.int64)
    places = (slice(None), *np.unravel_index(chosen, extents))
    selected: NDArray[np.float32] = moved[places]
    n, c = x.shape[:2]
    return selected.reshape(n, len(chosen), c, int(np.prod(kernel)))


def _padding(
    node: Node, extents: tuple[int, ...], reach: tuple[int, ...], strides: tuple[int, ...]
) -> list[tuple[int, int]]:
    automatic = node.attributes.get("auto_pad", b"NOTSET")
    if automatic in (b"SAME_UPPER", b"SAME_LOWER"):
        totals = [
            max((-(-extent // stride) - 1) * stride + r - extent, 0)
            for extent, stride, r in zip(extents, strides, reach, strict=True)
        ]
        halves = [(total // 2, total - total // 2) for total in totals]
        return [(b, a) if automatic == b"SAME_UPPER" else (a, b) for b, a in halves]
    if automatic == b"VALID":
        return [(0, 0)] * len(reach)
    pads = node.integers("pads", (0,) * (2 * len(reach)))
    return list(zip(pads[: len(reach)], pads[len(reach) :], strict=True))
