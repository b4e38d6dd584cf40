# SPDX-License-Identifier: Apache-2.0
"""Performance maps: what accuracy a model keeps at which setting of a tool; metadata, no tensor depends
on it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SparsificationPerformance:
    """One entry of ``sparsification_performance_map``.

    Clause: format 2
    """

    sparsification_threshold: float
    non_zero_ratio: float
    nn_accuracy: float
    class_bitmask: int = 0
    nn_class_accuracy: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PruningPerformance:
    """One entry of ``pruning_performance_map``.

    Clause: format 2
    """

    pruning_ratio: float
    nn_accuracy: float
    class_bitmask: int = 0
    nn_class_accuracy: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class UnificationPerformance:
    """One entry of ``unification_performance_map``.

    Clause: format 2
    """

    reshaped_tensor_dimensions: tuple[int, ...]
    super_block_dimensions: tuple[int, ...]
    block_dimensions: tuple[int, ...]
    unification_threshold: float
    nn_accuracy: float
    class_bitmask: int = 0
    nn_class_accuracy: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class DecompositionPerformance:
    """One entry of ``decomposition_performance_map``.

    Clause: format 2
    """

    mse_threshold: float
    nn_accuracy: float
    nn_reduction_ratio: float
    nn_class_accuracy: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PerformanceMaps:
    """The maps of a parameter set; None where there is none, which differs from one without entries.

    Clause: format 2
    """

    sparsification: tuple[SparsificationPerformance, ...] | None = None
    pruning: tuple[PruningPerformance, ...] | None = None
    unification: tuple[UnificationPerformance, ...] | None = None
    decomposition: tuple[DecompositionPerformance, ...] | None = None
