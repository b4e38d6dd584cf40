# SPDX-License-Identifier: Apache-2.0
"""Size of a codec at given divergences, by interpolation in a sweep of step sizes."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tools.research.quality.codecs import Codec
from tools.research.quality.subject import Subject

_LOWEST, _HIGHEST = -8.0, 8.0
_FLOOR = 1e-12


@dataclass(frozen=True)
class Measurement:
    """One point of a curve."""

    size_bytes: int
    divergence: float
    seconds: float


class Curve:
    """Measurements of one codec on one model.

    Parameters
    ----------
    subject : Subject
    codec : Codec
    cache : Path or None
        JSON file of measurements to read and extend.
    """

    def __init__(self, subject: Subject, codec: Codec, cache: Path | None = None) -> None:
        self._subject, self._codec, self._cache = subject, codec, cache
        self.points: dict[int, Measurement] = {}
        # NNCodec's ladder has four steps an octave.
        self._per_octave = min(subject.per_octave, 4) if codec.name == "nncodec" else subject.per_octave
        if cache is not None and cache.exists():
            self.points = {int(k): Measurement(**v) for k, v in json.loads(cache.read_text()).items()}

    def size_at(self, divergence: float) -> float:
        """Return the size in bytes at a divergence: a parabola in the logarithms through its neighbours.

        Raises
        ------
        ValueError
            The codec does not reach the divergence with any step of the ladder.
        """
        step = self._last_below(divergence)
        # One octave, because the divergence of one quantisation is noisy.
        reach = max(self._per_octave, self._subject.neighbours)
        near = [self.measure(k) for k in range(step + 1 - reach, step + 1 + reach)]
        x = np.log([max(point.divergence, _FLOOR) for point in near]) - math.log(divergence)
        y = np.log([point.size_bytes for point in near])
        return math.exp(float(np.polyfit(x, y, 2)[-1]))

    def seconds(self) -> float:
        """Return the median processor time of encoding."""
        return float(np.median([point.seconds for point in self.points.values()]))

    def measure(self, step: int) -> Measurement:
        """Measure one step of the ladder."""
        if step not in self.points:
            coded = self._codec.code(self._subject.tensors, step / self._per_octave)
            divergence = self._subject.divergence(coded.tensors)
            self.points[step] = Measurement(coded.size_bytes, divergence, coded.seconds)
            if self._cache is not None:
                self._cache.parent.mkdir(parents=True, exist_ok=True)
                self._cache.write_text(
                    json.dumps({str(k): asdict(v) for k, v in sorted(self.points.items())})
                )
        return self.points[step]

    def _last_below(self, divergence: float) -> int:
        """Return the last step whose divergence is below the one asked for, by bisection."""
        low, high = int(_LOWEST * self._per_octave), int(_HIGHEST * self._per_octave)
        known = sorted(self.points)
        start = next((k for k in reversed(known) if self.points[k].divergence < divergence), 0)
        stride = 1
        if self.measure(start).divergence < divergence:
            while self.measure(min(start + stride, high)).divergence < divergence:
                if start + stride >= high:
                    raise ValueError(f"{self._codec.name} never reaches {divergence}")
                start, stride = start + stride, 2 * stride
            low, high = start, start + stride
        else:
            while self.measure(max(start - stride, low)).divergence >= divergence:
                if start - stride <= low:
                    raise ValueError(f"{self._codec.name} never reaches {divergence}")
                start, stride = start - stride, 2 * stride
            low, high = start - stride, start
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.measure(middle).divergence < divergence else (low, middle)
        return low
