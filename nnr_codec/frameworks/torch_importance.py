# SPDX-License-Identifier: Apache-2.0
"""Importance of the weights of a PyTorch model, from a few batches of inputs.

>>> from nnr_codec.frameworks import torch_importance
>>> importance = torch_importance.layer_curvatures(model, batches)        # doctest: +SKIP
>>> stream = nnr_codec.encode(tensors, importance=importance)             # doctest: +SKIP

The functions import torch when they are called. Keys of results are names in the state dict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.frameworks.embedding_rows import EmbeddingCollector
from nnr_codec.quant import Curvature

Importances = dict[str, NDArray[np.float32]]
Run = Callable[[Any, Any], Any]  # model, batch -> outputs, or losses


def call(model: Any, batch: Any) -> Any:
    """Call the model on a batch: a tensor, a dict of keywords, or a tuple of arguments."""
    if isinstance(batch, Mapping):
        return model(**batch)
    if isinstance(batch, (tuple, list)):
        return model(*batch)
    return model(batch)


def fisher_information(model: Any, batches: Iterable[Any], loss: Run, *, damping: float = 0.1) -> Importances:
    """Return the empirical diagonal Fisher information: the mean over samples of the squared gradient.

    Parameters
    ----------
    model : torch.nn.Module
    batches : iterable
        Second arguments of `loss`. Several hundred samples suffice.
    loss : callable of (model, batch)
        Returns the negative log likelihood of each sample, a tensor of shape [samples].
    damping : float
        Value added to each element, relative to the mean of its tensor. It gives a cost to weights that the samples do not use.

    Returns
    -------
    dict of str to float32 array
        Importance in the shapes of the parameters.

    Raises
    ------
    ValueError
        `loss` does not return one value per sample.

    Clause: JSTSP 2020 (DeepCABAC)
    """
    import torch

    parameters = _parameters(model)
    sums = {name: torch.zeros_like(p, dtype=torch.float32) for name, p in parameters.items()}
    n_samples = 0
    with _evaluating(model):
        for batch in batches:
            losses = loss(model, batch)
            if losses.dim() != 1:
                raise ValueError("loss must return one value per sample: use reduction='none'")
            for i in range(len(losses)):
                gradients = torch.autograd.grad(
                    losses[i], list(parameters.values()), retain_graph=i + 1 < len(losses), allow_unused=True
                )
                _add_squares(sums, gradients)
            n_samples += len(losses)
    return _means(sums, n_samples, damping)


def output_sensitivity(
    model: Any,
    batches: Iterable[Any],
    run: Run = call,
    *,
    probes: int = 4,
    seed: int = 0,
    damping: float = 0.1,
) -> Importances:
    """Return the squared derivative of the outputs by each weight, summed over outputs and averaged over samples.

    This is the diagonal of the Gauss-Newton matrix; it needs no labels. ``sum(importance * error**2)`` predicts the squared
    change of a sample's outputs. The estimate is unbiased: it uses gradients of random combinations of the outputs.

    Parameters
    ----------
    model : torch.nn.Module
    batches : iterable
    run : callable of (model, batch)
        Returns outputs of shape [samples, ...].
    probes : int
        Number of random combinations per batch.
    seed : int
        Seed of the random combinations.
    damping : float
        As in `fisher_information`.

    Returns
    -------
    dict of str to float32 array
        Importance in the shapes of the parameters.
    """
    import torch

    parameters = _parameters(model)
    sums = {name: torch.zeros_like(p, dtype=torch.float32) for name, p in parameters.items()}
    generator = torch.Generator().manual_seed(seed)
    n_samples = 0
    with _evaluating(model):
        for batch in batches:
            outputs = run(model, batch)
            for probe in range(probes):
                combined = (outputs * torch.randn(outputs.shape, generator=generator)).sum() / math.sqrt(
                    probes
                )
                gradients = torch.autograd.grad(
                    combined, list(parameters.values()), retain_graph=probe + 1 < probes, allow_unused=True
                )
                _add_squares(sums, gradients)
            n_samples += len(outputs)
    return _means(sums, n_samples, damping)


def inverse_variances(snapshots: Iterable[Mapping[str, Any]], *, prior_samples: float = 1.0) -> Importances:
    """Return the inverse variance of each weight over training; a weight with a small variance is important.

    Parameters
    ----------
    snapshots : iterable of state dicts
        Weights at intervals of several training steps, at a constant learning rate.
    prior_samples : float
        Number of snapshots for which the mean variance of the tensor counts. It bounds the importance of constant weights.

    Returns
    -------
    dict of str to float32[shape]
        Keys are those of the snapshots.

    Raises
    ------
    ValueError
        Fewer than two snapshots.

    Clause: JSTSP 2020 (DeepCABAC)
    """
    count = 0
    means: dict[str, NDArray[np.float64]] = {}
    squares: dict[str, NDArray[np.float64]] = {}
    for snapshot in snapshots:
        count += 1
        for name, value in snapshot.items():
            array = np.array(value.detach().cpu() if hasattr(value, "detach") else value, np.float64)
            if name not in means:
                means[name], squares[name] = np.zeros_like(array), np.zeros_like(array)
            difference = array - means[name]
            means[name] += difference / count
            squares[name] += difference * (array - means[name])
    if count < 2:
        raise ValueError("a variance needs at least two snapshots")
    result = {}
    for name, square in squares.items():
        mean = float(square.mean()) / count
        if mean > 0:
            result[name] = ((count + prior_samples) / (square + prior_samples * mean)).astype(np.float32)
    return result


def layer_curvatures(
    model: Any,
    batches: Iterable[Any],
    run: Run = call,
    *,
    by_output: bool = True,
    damping: float = 0.01,
    row_damping: float | None = None,
    seed: int = 0,
    largest_width: int = 8192,
    uses: Mapping[str, NDArray[np.floating]] | None = None,
    names: Collection[str] | None = None,
) -> dict[str, Curvature | NDArray[np.float32]]:
    """Return the curvature X'X of Linear and convolution layers, and the curvature of the rows of Embeddings.

    With `by_output`, the weight of each input in X'X is the squared gradient at the outputs it causes.

    Parameters
    ----------
    model : torch.nn.Module
    batches : iterable
    run : callable of (model, batch)
        Returns outputs of shape [samples, ...].
    by_output : bool
        Weight the outputs of each layer by the mean squared gradient of the model's outputs. This puts all layers on one scale,
        and needs one backward pass per batch.
    damping : float
        As in `Curvature`.
    row_damping : float, optional
        Value added to the weight of each output, relative to their mean; by default `damping`.
    seed : int
        Seed of the random combinations of outputs.
    largest_width : int
        Layers with more inputs are skipped, because their matrix would take too much memory.
    uses : mapping of str to float[rows], optional
        Number of uses of each row of an Embedding, by the name of its weight. Count them on many more inputs than the batches:
        counting needs no model, and few batches use a small part of a vocabulary. Rows with similar counts share the squared
        gradients of the batches.
    names : collection of str, optional
        Names of the weights to measure; by default all.

    Returns
    -------
    dict of str to Curvature
        float32[rows, 1] instead of a Curvature for an Embedding without `by_output`.
    """
    import torch

    collectors = {}
    for name, module in model.named_modules():
        key = f"{name}.weight" if name else "weight"
        if names is not None and key not in names:
            continue
        collector = _collector_for(
            module,
            largest_width,
            None if uses is None else uses.get(key),
            damping if row_damping is None else row_damping,
        )
        if collector is not None:
            collectors[key] = collector, module
    generator = torch.Generator().manual_seed(seed)
    n_samples = 0
    hooks = []
    # Only the gradients of layer outputs are needed: those of the weights would take half as long again.
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        for collector, module in collectors.values():
            if by_output:
                hooks.append(module.register_forward_hook(_with_gradient))
            hooks.append(module.register_forward_hook(collector.on_forward))
        with _evaluating(model), torch.set_grad_enabled(by_output):
            for batch in batches:
                outputs = run(model, batch)
                n_samples += len(outputs)
                if by_output:
                    (outputs * torch.randn(outputs.shape, generator=generator)).sum().backward()
    finally:
        for hook in hooks:
            hook.remove()
        for parameter in trained:
            parameter.requires_grad_(True)
    results = {
        name: collector.result(max(n_samples, 1), damping) for name, (collector, _) in collectors.items()
    }
    return {name: value for name, value in results.items() if value is not None}


def _with_gradient(module: Any, inputs: tuple[Any, ...], output: Any) -> Any:
    """Return an output that has a gradient; a copy, because the next operation may be in place."""
    del module, inputs
    return None if output.requires_grad else output.detach().requires_grad_(True).clone()


class _LayerCollector:
    """Collector of input products and squared output gradients of a layer."""

    def __init__(
        self, rows_of: Callable[[Any, Any], Any], outputs_of: Callable[[Any], Any], row_damping: float
    ) -> None:
        self._rows_of, self._outputs_of, self._row_damping = rows_of, outputs_of, row_damping
        self._products: Any = None
        self._squares: Any = None
        self._weight = 0.0

    def on_forward(self, module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        rows = self._rows_of(module, inputs[0].detach())
        if output.requires_grad:
            # Weight inputs by the gradient of their outputs: a large input without influence must not count.
            output.register_hook(lambda gradient: self._on_gradient(rows, gradient))
        else:
            self._add(rows, rows.new_ones(len(rows)))

    def _on_gradient(self, rows: Any, gradient: Any) -> None:
        squares = self._outputs_of(gradient.detach()).square()
        self._add(rows, squares.sum(1))
        by_output = squares.double().sum(0)
        self._squares = by_output if self._squares is None else self._squares + by_output

    def _add(self, rows: Any, weights: Any) -> None:
        weighted_rows = rows * weights[:, None]
        if self._products is None:
            self._products = weighted_rows.T @ rows
        else:
            self._products.addmm_(weighted_rows.T, rows)
        self._weight += float(weights.sum())

    def result(self, n_samples: int, damping: float) -> Curvature | None:
        if self._products is None or not self._weight > 0:
            return None
        matrix = (self._products / self._weight).numpy()
        rows = None if self._squares is None else (self._squares / n_samples).numpy()
        if rows is not None and rows.max() > 0:
            # Outputs without a gradient in these samples still get a weight: a row that loses everything costs more than its
            # gradient says.
            rows = rows + self._row_damping * rows.mean()
        else:
            rows = None
        return Curvature(matrix, rows, damping)


def _collector_for(
    module: Any, largest_width: int, uses: NDArray[np.floating] | None, row_damping: float
) -> _LayerCollector | EmbeddingCollector | None:
    import torch

    if isinstance(module, torch.nn.Linear):
        if module.in_features > largest_width:
            return None
        return _LayerCollector(
            lambda m, x: x.reshape(-1, m.in_features), lambda g: g.reshape(-1, g.shape[-1]), row_damping
        )
    if isinstance(module, (torch.nn.Conv1d, torch.nn.Conv2d)):
        width = module.weight[0].numel()
        # The groups of a grouped convolution have different inputs, which one matrix does not describe.
        if width > largest_width or module.groups > 1:
            return None
        return _LayerCollector(_patches, lambda g: g.movedim(1, -1).reshape(-1, g.shape[1]), row_damping)
    if isinstance(module, torch.nn.Embedding):
        return EmbeddingCollector(module.num_embeddings, uses)
    return None


def _patches(module: Any, x: Any) -> Any:
    import torch

    if isinstance(module.padding, str) or module.padding_mode != "zeros":
        x = torch.nn.functional.pad(
            x,
            module._reversed_padding_repeated_twice,
            "constant" if module.padding_mode == "zeros" else module.padding_mode,
        )
        padding: tuple[int, ...] = (0,) * len(module.kernel_size)
    else:
        padding = module.padding
    settings = [module.kernel_size, module.dilation, padding, module.stride]
    if len(module.kernel_size) == 1:
        x = x.unsqueeze(2)
        settings = [
            (1, module.kernel_size[0]),
            (1, module.dilation[0]),
            (0, padding[0]),
            (1, module.stride[0]),
        ]
    patches = torch.nn.functional.unfold(
        x, settings[0], dilation=settings[1], padding=settings[2], stride=settings[3]
    )
    return patches.movedim(1, 2).reshape(-1, patches.shape[1])


def _parameters(model: Any) -> dict[str, Any]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _add_squares(sums: dict[str, Any], gradients: Iterable[Any]) -> None:
    for total, gradient in zip(sums.values(), gradients, strict=True):
        if gradient is not None:
            # Accumulate in single precision: converting every gradient to double takes longer than computing it.
            single = gradient.detach().float()
            total.addcmul_(single, single)


def _means(sums: Mapping[str, Any], n_samples: int, damping: float) -> Importances:
    return {
        name: ((total + damping * total.mean()) / max(n_samples, 1)).cpu().numpy()
        for name, total in sums.items()
    }


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Set evaluation mode for dropout and batch norm, and restore the previous mode."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
