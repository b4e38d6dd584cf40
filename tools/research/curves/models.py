# SPDX-License-Identifier: Apache-2.0
"""Size, squared error and processor time of whole models, for this codec and NNCodec."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nnr_codec
from conformance.peers.client import Peer
from nnr_codec._native import UnitBatch
from nnr_codec.codec.stream.stream_reader import StreamReader
from nnr_codec.inspect import Severity, validate
from nnr_codec.model import Limits
from tools.real_models import Tensors

#: Quantisation parameters of the curves.
QPS = (-40, -36, -32, -28, -24, -20, -16, -12)


@dataclass(frozen=True)
class Measured:
    """One stream of one encoder."""

    qp: int
    size_bytes: int
    squared_error: float
    cpu_seconds: float


def squared_error(tensors: Tensors, decoded: Mapping[str, NDArray[Any]]) -> float:
    """Squared error, summed over all weights."""
    return sum(float(np.square(np.asarray(decoded[n], np.float64) - tensors[n]).sum()) for n in tensors)


def ours(tensors: Tensors, qp: int, effort: str) -> tuple[Measured, bytes]:
    """Measure this codec at a QP; returns the measurement and the stream."""
    started = time.process_time()
    stream = nnr_codec.encode(tensors, qp=qp, effort=effort, describe_source=False)
    seconds = time.process_time() - started
    return Measured(qp, len(stream), squared_error(tensors, nnr_codec.decode(stream)), seconds), stream


def theirs(peer: Peer, tensors: Tensors, qp: int) -> Measured:
    """Measure NNCodec at a QP with its defaults: dependent quantisation, search, row skipping.

    The error is that of its stream decoded by this codec; the differential tests show that both decoders agree. The time
    covers the call inside its process.
    """
    stream, seconds = peer.encode_timed(tensors, qp=qp, dependent=True)
    return Measured(qp, len(stream), squared_error(tensors, nnr_codec.decode(stream)), seconds)


def check(peer: Peer, stream: bytes) -> None:
    """Check that a stream is valid and that NNCodec decodes it to the same values.

    Raises
    ------
    SystemExit
        If one of the checks fails.
    """
    findings = [fault for fault in validate([stream]) if fault.severity is not Severity.WARNING]
    if findings:
        raise SystemExit(f"the validator reports: {findings[0].message} at {findings[0].path}")
    decoded, expected = peer.decode(stream, levels=False).values, nnr_codec.decode(stream)
    for name in expected:
        if not np.array_equal(np.asarray(decoded[name]).reshape(-1), np.asarray(expected[name]).reshape(-1)):
            raise SystemExit(f"NNCodec decodes other values of {name}")


def largest_growth(stream: bytes) -> float:
    """Largest ratio of a tensor's payload to its float32 size."""
    batches = [step for step in StreamReader(memoryview(stream), Limits(), {}) if isinstance(step, UnitBatch)]
    return max(unit.payload_bytes / (4 * math.prod(unit.shape)) for batch in batches for unit in batch)


def bytes_at_equal_error(points: list[Measured], reference: list[Measured]) -> list[tuple[int, float]]:
    """Size relative to the reference at equal error, with the QP, of every point within the range of the reference.

    Log size is interpolated linearly over log error, between neighbouring points of the reference.
    """
    ordered = sorted(reference, key=lambda m: m.squared_error)
    errors = np.log([m.squared_error for m in ordered])
    sizes = np.log([m.size_bytes for m in ordered])
    ratios = []
    for point in points:
        at = np.log(point.squared_error)
        if errors[0] <= at <= errors[-1]:
            ratios.append((point.qp, float(point.size_bytes / np.exp(np.interp(at, errors, sizes)))))
    return ratios


def bd_rate(points: list[Measured], reference: list[Measured]) -> float:
    """BD-rate: mean log size difference over the common range of log error, as a share (negative: fewer bytes)."""
    curves = []
    for curve in (points, reference):
        ordered = sorted(curve, key=lambda m: m.squared_error)
        curves.append((np.log([m.squared_error for m in ordered]), np.log([m.size_bytes for m in ordered])))
    low, high = max(c[0][0] for c in curves), min(c[0][-1] for c in curves)
    grid = np.linspace(low, high, 400)
    ours_log, theirs_log = (np.interp(grid, *curve) for curve in curves)
    return float(np.exp((ours_log - theirs_log).mean()) - 1)
