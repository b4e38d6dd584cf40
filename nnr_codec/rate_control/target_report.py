# SPDX-License-Identifier: Apache-2.0
"""Result of a search for a size or an error."""

from __future__ import annotations

from dataclasses import dataclass

# Relative deviation up to which a target counts as met.
_MET = 0.01


@dataclass(frozen=True)
class TensorReport:
    """Size, step and error of one tensor.

    Attributes
    ----------
    name : str
    weights : int
        Number of elements.
    step : float
        Step size; 0 for a tensor that is stored without quantisation.
    relative_error : float
        Root mean square error over the root mean square of the tensor.
    """

    name: str
    weights: int
    step: float
    relative_error: float


@dataclass(frozen=True)
class TargetReport:
    """Result of `compress_to_target`.

    Attributes
    ----------
    target : str
        ``ratio``, ``bits`` or ``max_error``.
    asked, reached : float
        In the unit of the target: a ratio, bits per weight, or a relative error.
    size_bytes : int
        Size of the stream.
    bits_per_weight : float
    ratio : float
        Bytes of the model over bytes of the stream.
    relative_error : float
        Root of the squared error over the squared weights, of all tensors whose step was searched.
    points : tuple of (float, float)
        Encodings in the order of the search, as (scale of steps, reached). With ``per_tensor``, one entry per round: (number of
        tensors encoded, relative error farthest from the target).
    tensors : tuple of TensorReport
    """

    target: str
    asked: float
    reached: float
    size_bytes: int
    bits_per_weight: float
    ratio: float
    relative_error: float
    points: tuple[tuple[float, float], ...]
    tensors: tuple[TensorReport, ...]

    @property
    def met(self) -> bool:
        """True if the target was met within 1 %; otherwise it is out of reach."""
        return abs(self.reached / self.asked - 1) <= _MET

    @property
    def exceeded(self) -> bool:
        """True if the stream is larger, or its error larger, than asked for by more than 1 %.

        A smaller stream or error than asked for is acceptable; exactly coded tensors have no error to give.
        """
        if self.target == "ratio":
            return self.reached < self.asked * (1 - _MET)
        return self.reached > self.asked * (1 + _MET)
