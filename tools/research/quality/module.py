# SPDX-License-Identifier: Apache-2.0
"""PyTorch module as a model that runs: curvatures of its layers by the gradients of its outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nnr_codec.frameworks.onnx.calibration.graph import GraphInput
from nnr_codec.frameworks.onnx.calibration.sample_inputs import made_inputs
from nnr_codec.frameworks.torch_importance import layer_curvatures
from nnr_codec.rate_control.calibrated import (
    GIVEN_DAMPING,
    GIVEN_ROW_DAMPING,
    MADE_DAMPING,
    MADE_ROW_DAMPING,
    Moments,
)
from nnr_codec.rate_control.divergence import Divergence
from nnr_codec.transform import ScaleMove

# Share of the batches that measures the divergence, and not the moments.
_HELD_OUT = 3
_SMALLEST = 1e-12
# TensorProto.DataType
_FLOAT = 1

Tensors = Mapping[str, NDArray[Any]]


class RunnableModule:
    """PyTorch module on fixed batches.

    Parameters
    ----------
    module : torch.nn.Module
        With the weights of the original model.
    batches : sequence
        Arguments of the module.
    name_of : callable
        Function from the name of a tensor to its name in the module.
    names : sequence of str
        Names of the tensors.
    distributions : bool
        The outputs are distributions over their last dimension.
    made : bool
        The batches are made, not real.
    """

    def __init__(
        self,
        module: nn.Module,
        batches: Sequence[Any],
        names: Sequence[str],
        name_of: Callable[[str], str] = str,
        *,
        distributions: bool = True,
        made: bool = False,
    ) -> None:
        self._module, self._names = module.eval(), {name: name_of(name) for name in names}
        self._distributions = distributions
        self._damping = MADE_DAMPING if made else GIVEN_DAMPING
        self._row_damping = MADE_ROW_DAMPING if made else GIVEN_ROW_DAMPING
        n_held_out = max(len(batches) // _HELD_OUT, 1)
        self._for_moments, self._for_divergence = batches[:-n_held_out], batches[-n_held_out:]
        self._state = {name: value.clone() for name, value in module.state_dict().items()}
        self._reference = Divergence(self._outputs())

    def divergence(self, tensors: Tensors) -> float:
        """Return the divergence of the outputs with these tensors from those of the original."""
        replaced = {
            self._names[name]: torch.from_numpy(np.array(array, np.float32))
            for name, array in tensors.items()
        }
        try:
            self._module.load_state_dict(self._state | replaced)
            return self._reference.of(self._outputs())
        finally:
            self._module.load_state_dict(self._state)

    def moments(self) -> Iterator[tuple[str, Moments]]:
        """Measure the curvatures of layers."""
        curvatures = layer_curvatures(
            self._module,
            self._for_moments,
            lambda _, batch: self._amplitudes(batch),
            damping=self._damping,
            row_damping=self._row_damping,
        )
        for name, in_module in self._names.items():
            if in_module in curvatures:
                yield name, curvatures[in_module]

    def moves(self) -> list[ScaleMove]:
        """Return no moves."""
        return []

    def replace(self, tensors: Tensors) -> None:
        """Replace tensors of the module."""
        for name, array in tensors.items():
            self._state[self._names[name]] = torch.from_numpy(np.array(array, np.float32))
        self._module.load_state_dict(self._state)

    def _amplitudes(self, batch: Any) -> Tensor:
        """Return outputs whose squared changes are the divergence."""
        outputs: Tensor = self._module(batch)
        return 2 * outputs.clamp_min(_SMALLEST).sqrt() if self._distributions else outputs

    def _outputs(self) -> list[list[NDArray[Any]]]:
        with torch.no_grad():
            return [[np.asarray(self._module(batch))] for batch in self._for_divergence]


def made_batches(shape: tuple[int, ...], n_samples: int, seed: int) -> list[Tensor]:
    """Make inputs of a declared shape, as ``nnr compress`` does without inputs.

    Parameters
    ----------
    shape : tuple of int
        Of a batch.
    n_samples : int
    seed : int
    """
    batches = made_inputs([GraphInput("inputs", _FLOAT, shape)], n_samples, seed=seed)
    return [torch.from_numpy(batch["inputs"]) for batch in batches]
