# SPDX-License-Identifier: Apache-2.0
"""Effort presets of `EncoderConfig.effort`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Search parameters for each tensor.

    Attributes
    ----------
    passes : int
        Number of rate-distortion optimised quantisations of the tensor. Each uses the statistics of the previous one. 0: least
        squared error.
    native_passes : float
        Usual number of native passes over a tensor, for reports of progress inside it.
    sample : int
        Weights of the sample that decides unary length, initialisations and step before the first pass.
    sample_share : float
        Upper bound of the sample, as a share of the tensor.
    unary_lengths : tuple of int
        Candidates, compared by estimated cost. 10 is the default of the header and costs no byte.
    small : int
        Tensors of up to this many weights are also encoded with scalar quantisation and several unary lengths, to compare sizes.
    beam : float
        Pruning threshold: paths this many squared steps, and as many bits, behind the cheapest path are dropped.
    interval : int
        Weights over which all paths of a pass share the same rates; 0 if each path adapts its own contexts.
    search_sample : int
        Levels of a tensor that decide the initialisations in its stream; 0 for all.
    fine : float
        Relative error up to which vectors of less than 4096 weights are quantised uniformly, for 1 % more bits.
    tolerance : float
        Relative deviation from the target error that is accepted. The default is less than one QP at density 6, which is 1.1 %.
    slopes : tuple of float
        Multiples of the usual lambda, with one search for each; the result with the fewest bits at equal error is kept.
    """

    passes: int
    native_passes: float
    sample: int = 1 << 15
    sample_share: float = 1.0
    unary_lengths: tuple[int, ...] = (1, 2, 4, 7, 10, 14, 20, 32)
    small: int = 512
    beam: float = 4.0
    interval: int = 0
    search_sample: int = 0
    fine: float = 0.0
    tolerance: float = 0.009
    slopes: tuple[float, ...] = (1.0,)


EFFORTS = {
    "fast": Effort(0, 3, search_sample=1 << 13),
    "medium": Effort(
        1,
        3,
        sample=1 << 16,
        sample_share=0.125,
        beam=2.25,
        interval=512,
        search_sample=1 << 16,
        fine=2.0**-8,
        tolerance=0.03,
    ),
    "slow": Effort(2, 9, small=4096),
    "best": Effort(
        3,
        46,
        sample=1 << 17,
        unary_lengths=(1, 2, 3, 4, 5, 7, 10, 12, 14, 17, 20, 25, 32, 48),
        small=8192,
        slopes=(1.2, 1.0, 0.8, 0.4),
    ),
}
