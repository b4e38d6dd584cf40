# SPDX-License-Identifier: Apache-2.0
"""Inference of the demo network with NumPy only, so that the demo needs no framework.

Shapes: N images of H x W pixels, C channels, K outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def accuracy(tensors: Mapping[str, Array], images: Array, labels: Array) -> float:
    """Return the fraction of images that the network classifies correctly.

    Parameters
    ----------
    tensors : mapping of str to float32 ndarray
        ``tools/make_demo_model.py`` describes the layers.
    images : uint8[N, H, W], values 0 to 16
    labels : uint8[N]
    """
    x = images[:, None].astype(np.float32) / 16
    x = np.maximum(_convolve(x, tensors["conv1.weight"], tensors["conv1.bias"]), 0)
    x = np.maximum(_convolve(x, tensors["conv2.weight"], tensors["conv2.bias"]), 0)
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5)).reshape(n, -1)
    x = np.maximum(x @ tensors["dense1.weight"].T + tensors["dense1.bias"], 0)
    scores = x @ tensors["dense2.weight"].T + tensors["dense2.bias"]
    return float((scores.argmax(axis=1) == labels).mean())


def _convolve(x: Array, weight: Array, bias: Array) -> Array:
    """Return the 3 x 3 convolution of x[N, C, H, W] with weight[K, C, 3, 3], with zero padding of 1."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(2, 3))
    result: Array = np.tensordot(patches, weight, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
    return result + bias[:, None, None]
