# SPDX-License-Identifier: Apache-2.0
"""Performance maps: metadata about a model's accuracy at different settings of a coding tool.

Decoded tensors do not depend on these maps.
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
    """Performance maps of a parameter set. None means no map; an empty tuple is a map without entries.

    Clause: format 2
    """

    sparsification: tuple[SparsificationPerformance, ...] | None = None
    pruning: tuple[PruningPerformance, ...] | None = None
    unification: tuple[UnificationPerformance, ...] | None = None
    decomposition: tuple[DecompositionPerformance, ...] | None = None
