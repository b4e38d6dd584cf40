# SPDX-License-Identifier: Apache-2.0
"""Tables of the curves, in Markdown on stdout."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nnr_codec
from conformance.peers.client import Peer
from tools.real_models import Tensors
from tools.research.curves import contexts, ideal, models
from tools.research.curves.sources import SOURCES, Source

# Root-mean-square errors, from 7 to 0.3 bits for sources of variance 1.
ERRORS = (0.008, 0.016, 0.034, 0.07, 0.14, 0.28, 0.5, 0.68, 0.8, 0.85)
# Step sizes of the ideal trellis, relative to the error; several at low rates, where the best one varies.
_FINE_STEPS, _COARSE_STEPS, _COARSE = (2.0,), (1.7, 2.0, 2.3, 2.7), 0.1
_PEER_WEIGHTS = 200_000
_PEER_QPS = range(-28, 9, 3)
_EFFORTS = ("fast", "medium", "slow", "best")


@dataclass(frozen=True)
class Row:
    """Stream of a synthetic source: rate, and distances to the bound in bits per weight."""

    effort: str
    bits: float
    distance: float
    quantiser: float  # part of the distance up to the entropy of the coded values
    ideal: float  # distance of the ideal trellis at this rate
    coded: float  # coding cost of the ideal trellis' levels beyond their entropy
    peer: float


@dataclass(frozen=True)
class IdealCurve:
    """Distance over rate, one line per ratio of step size and error, and the coding cost of the levels."""

    lines: tuple[tuple[tuple[float, float], ...], ...]
    coded: tuple[tuple[float, float], ...]

    def distance(self, bits: float) -> float:
        """Minimum distance of all lines at a rate."""
        return float(np.nanmin([_at_rate(line, bits) for line in self.lines]))


def heading(title: str, columns: str) -> None:
    """Print the heading of a table."""
    print(f"\n### {title}\n\n| {columns} |\n|{'---|' * (columns.count('|') + 1)}", flush=True)


def ideal_curve(name: str, weights: int, errors: list[float]) -> IdealCurve:
    """Search the ideal trellis at the errors and slightly beyond them."""
    source = SOURCES[name](weights)
    lines, coded = [], []
    for ratio in _COARSE_STEPS:
        line = []
        for error in (0.77 * min(errors), *errors, 1.1 * max(errors)):
            if error < _COARSE and ratio not in _FINE_STEPS:
                continue
            point = ideal.search(source.weights, error * ratio, error)
            line.append((point.bits, point.bits - source.bound(point.mse)))
            beyond = contexts.coded_beyond_entropy(point) if ratio in _FINE_STEPS else None
            if beyond is not None:
                coded.append((point.bits, beyond))
        lines.append(tuple(sorted(line)))
    return IdealCurve(tuple(lines), tuple(sorted(coded)))


def peer_curve(name: str, peer: Peer) -> list[tuple[float, float]]:
    """Distance of NNCodec over its rate."""
    source = SOURCES[name](_PEER_WEIGHTS)
    tensor = {"w": source.weights.reshape(1000, -1)}
    curve = []
    for qp in _PEER_QPS:
        measured = models.theirs(peer, tensor, qp)
        bits = measured.size_bytes * 8 / _PEER_WEIGHTS
        curve.append((bits, bits - source.bound(measured.squared_error / _PEER_WEIGHTS)))
    return sorted(curve)


def source_table(
    source: Source, efforts: list[str], errors: list[float], peer: Peer, ideal_weights: int
) -> list[Row]:
    """Print distances to the bound; those of the ideal trellis and the peer are interpolated at this codec's rates."""
    n = source.weights.size
    tensor = {"w": source.weights.reshape(1000, -1)}
    trellis, their_curve = ideal_curve(source.name, ideal_weights, errors), peer_curve(source.name, peer)
    heading(
        f"{source.name}, {n} weights: bits per weight above the Shannon lower bound",
        "effort | bits | distance | quantiser | coder | ideal trellis | above it | its levels, coded | NNCodec",
    )
    rows = []
    for effort in efforts:
        for error in errors:
            stream = nnr_codec.encode(tensor, relative_error=error, effort=effort)
            decoded = nnr_codec.decode(stream, dequantize=False)["w"]
            assert isinstance(decoded, nnr_codec.QuantizedTensor)
            mse = float(np.square(decoded.dequantize().astype(np.float64) - tensor["w"]).mean())
            bits = len(stream) * 8 / n
            distance = bits - source.bound(mse)
            quantiser = conditional_entropy(decoded.levels.reshape(-1)) - source.bound(mse)
            row = Row(
                effort,
                bits,
                distance,
                quantiser,
                trellis.distance(bits),
                _at_rate(trellis.coded, bits),
                _at_rate(their_curve, bits),
            )
            print(
                f"| {effort} | {bits:.3f} | {distance:.4f} | {quantiser:.4f} | {distance - quantiser:+.4f} | {row.ideal:.4f} "
                f"| **{distance - row.ideal:+.4f}** | {_or_dash(row.coded)} | {_or_dash(row.peer)} |",
                flush=True,
            )
            rows.append(row)
    return rows


def _or_dash(bits: float) -> str:
    return "-" if math.isnan(bits) else f"{bits:.4f}"


def _at_rate(curve: list[tuple[float, float]] | tuple[tuple[float, float], ...], bits: float) -> float:
    if not curve or not curve[0][0] <= bits <= curve[-1][0]:
        return math.nan
    return float(np.interp(bits, [c[0] for c in curve], [c[1] for c in curve]))


def conditional_entropy(levels: NDArray[np.int32]) -> float:
    """Empirical entropy of coded values given the state and the sign of the previous value, in bits per weight.

    Significance contexts use both, so the entropy given the state alone would exceed the actual rate.
    """
    values = nnr_codec.rate.coded_values(levels, True)
    states = np.empty(values.size, np.int64)
    moves, state = ideal.NEXT.tolist(), 0
    for i, odd in enumerate((values & 1).tolist()):
        states[i] = state
        state = moves[state][odd]
    known = 3 * states + 1 + np.sign(np.concatenate([[0], values[:-1]]))
    total = 0.0
    for place in range(24):
        counts = np.unique(values[known == place], return_counts=True)[1]
        if counts.size:
            total -= float((counts * np.log2(counts / counts.sum())).sum())
    return total / values.size


def model_table(
    name: str, tensors: Tensors, qps: tuple[int, ...], effort: str, peer: Peer, check: bool
) -> tuple[list[models.Measured], list[models.Measured]]:
    """Print sizes, errors and times of both codecs, and the BD-rate."""
    n = sum(t.size for t in tensors.values())
    heading(
        f"{name}, {n} float32 weights, effort {effort}",
        "QP | bytes | squared error | CPU s | NNCodec bytes | squared error | CPU s | times | at equal error | largest growth",
    )
    points: list[models.Measured] = []
    peer_points: list[models.Measured] = []
    for qp in qps:
        m, stream = models.ours(tensors, qp, effort)
        if check:
            models.check(peer, stream)
        t = models.theirs(peer, tensors, qp)
        points.append(m)
        peer_points.append(t)
        # Convert to equal error with the slope of the bound: 1 bit per weight for a factor of 4.
        equal = (m.size_bytes + n / 16 * math.log2(m.squared_error / t.squared_error)) / t.size_bytes - 1
        print(
            f"| {qp} | {m.size_bytes} | {m.squared_error:.5g} | {m.cpu_seconds:.1f} | {t.size_bytes} | {t.squared_error:.5g} "
            f"| {t.cpu_seconds:.1f} | {m.cpu_seconds / t.cpu_seconds:.2f} | {equal:+.2%} | {models.largest_growth(stream):.2f} |",
            flush=True,
        )
    rate = models.bd_rate(points, peer_points) if len(qps) > 1 else math.nan
    worst = (
        max((share for _, share in models.bytes_at_equal_error(points, peer_points)), default=math.nan) - 1
    )
    ratio = sum(m.cpu_seconds for m in points) / sum(t.cpu_seconds for t in peer_points)
    checked = ", every stream valid and decoded identically by NNCodec" if check else ""
    print(
        f"\nBD-rate {rate:+.2%}, worst point {worst:+.2%}, processor time {ratio:.2f} of NNCodec's{checked}.",
        flush=True,
    )
    return points, peer_points


def effort_table(name: str, tensors: Tensors) -> None:
    """Print size, error and time of every effort at two errors."""
    n = sum(t.size for t in tensors.values())
    heading(
        f"Efforts on {name}",
        "relative error | effort | bytes | squared error | bytes at fast's error | CPU s | times fast's",
    )
    for error in (0.02, 0.2):
        first: models.Measured | None = None
        for effort in _EFFORTS:
            started = time.process_time()
            stream = nnr_codec.encode(tensors, relative_error=error, effort=effort, qp_density=6)
            seconds = time.process_time() - started
            measured = models.Measured(
                0, len(stream), models.squared_error(tensors, nnr_codec.decode(stream)), seconds
            )
            first = first or measured
            equal = measured.size_bytes + n / 16 * math.log2(measured.squared_error / first.squared_error)
            print(
                f"| {error} | {effort} | {measured.size_bytes} | {measured.squared_error:.5g} "
                f"| {equal / first.size_bytes - 1:+.2%} | {seconds:.1f} | {seconds / first.cpu_seconds:.1f} |",
                flush=True,
            )


def target_table(name: str, tensors: Tensors) -> None:
    """Print the accuracy of the target search."""
    heading(f"Targets on {name}", "target | asked | reached | off by | encodings | CPU s")
    targets: tuple[dict[str, Any], ...] = (
        {"ratio": 6.0},
        {"ratio": 20.0},
        {"bits": 4.0},
        {"bits": 1.0},
        {"max_error": 0.01},
        {"max_error": 0.05},
        {"max_error": 0.2},
        {"max_error": 0.01, "per_tensor": True},
        {"max_error": 0.2, "per_tensor": True},
    )
    for target in targets:
        started = time.process_time()
        _, report = nnr_codec.compress_to_target(tensors, **target)
        seconds = time.process_time() - started
        label = f"{report.target} per tensor" if target.get("per_tensor") else report.target
        print(
            f"| {label} | {report.asked:g} | {report.reached:.5g} | {report.reached / report.asked - 1:+.2%} "
            f"| {len(report.points)} | {seconds:.1f} |",
            flush=True,
        )
