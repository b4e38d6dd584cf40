# SPDX-License-Identifier: Apache-2.0
"""Bytes and squared error of whole models, ours and NNCodec's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nnr_codec
from tools.peer.client import Peer

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Measured:
    """One stream of one encoder."""

    qp: int
    size_bytes: int
    squared_error: float
    cpu_seconds: float


def load(path: Path) -> Tensors:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files if archive[name].dtype == np.float32}


def squared_error(tensors: Tensors, decoded: Mapping[str, NDArray[Any]]) -> float:
    return sum(float(np.square(np.asarray(decoded[n], np.float64) - tensors[n]).sum()) for n in tensors)


def ours(tensors: Tensors, qp: int, effort: str) -> tuple[Measured, bytes]:
    started = time.process_time()
    stream = nnr_codec.encode(tensors, qp=qp, effort=effort, describe_source=False)
    seconds = time.process_time() - started
    return Measured(qp, len(stream), squared_error(tensors, nnr_codec.decode(stream)), seconds), stream


def theirs(peer: Peer, tensors: Tensors, qp: int) -> Measured:
    """Return NNCodec's size with its defaults: dependent quantisation, search, row skipping.

    The error is that of its own stream as we decode it, which the differential tests show to be what it decodes. Its time is
    wall time, of the call and the transfer of the tensors together.
    """
    started = time.perf_counter()
    stream = peer.encode(tensors, qp=qp, dependent=True)
    seconds = time.perf_counter() - started
    return Measured(qp, len(stream), squared_error(tensors, nnr_codec.decode(stream)), seconds)


def bytes_at_equal_error(points: list[Measured], reference: list[Measured]) -> list[tuple[int, float]]:
    """Return, per point within the reference's range, its QP and its size relative to the reference's at equal error.

    Log size is interpolated linearly over log error, between neighbouring points of the reference.
    """
    ordered = sorted(reference, key=lambda m: m.squared_error)
    errors = np.log([m.squared_error for m in ordered])
    sizes = np.log([m.size_bytes for m in ordered])
    found = []
    for point in points:
        at = np.log(point.squared_error)
        if errors[0] <= at <= errors[-1]:
            found.append((point.qp, float(point.size_bytes / np.exp(np.interp(at, errors, sizes)))))
    return found


def bd_rate(points: list[Measured], reference: list[Measured]) -> float:
    """Return the mean of log size differences over the common range of log error, as a share (negative: fewer bytes)."""
    curves = []
    for curve in (points, reference):
        ordered = sorted(curve, key=lambda m: m.squared_error)
        curves.append((np.log([m.squared_error for m in ordered]), np.log([m.size_bytes for m in ordered])))
    low, high = max(c[0][0] for c in curves), min(c[0][-1] for c in curves)
    grid = np.linspace(low, high, 400)
    ours_log, theirs_log = (np.interp(grid, *curve) for curve in curves)
    return float(np.exp((ours_log - theirs_log).mean()) - 1)
