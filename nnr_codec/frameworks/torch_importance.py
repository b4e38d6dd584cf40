# SPDX-License-Identifier: Apache-2.0
"""Importance of a PyTorch model's weights, estimated from a few batches of inputs.

>>> from nnr_codec.frameworks import torch_importance
>>> importance = torch_importance.layer_curvatures(model, batches)        # doctest: +SKIP
>>> stream = nnr_codec.encode(tensors, importance=importance)             # doctest: +SKIP

torch is imported when a function is called. Keys are the state dict's names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
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
        Batches in the form that `loss` takes; some hundreds of samples suffice.
    loss : callable of (model, batch)
        Returns one negative log likelihood for each sample, a tensor of shape [samples].
    damping : float
        Added to each weight's value, as a share of its tensor's mean, so that weights that few samples never used
        keep an importance.

    Returns
    -------
    dict of str to float32 array
        In the parameters' shapes.

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
                raise ValueError("the loss of each sample is needed: use reduction='none'")
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
    """Return the mean squared derivative of the outputs by each weight, summed over a sample's outputs.

    The diagonal of the Gauss-Newton matrix, without labels: ``sum(importance * error**2)`` predicts the squared change of a
    sample's outputs. Gradients of random combinations of outputs, independent between samples, give it without bias.

    Parameters
    ----------
    model : torch.nn.Module
    batches : iterable
    run : callable of (model, batch)
        Returns outputs of shape [samples, ...].
    probes : int
        Random combinations for each batch.
    damping : float
        As in `fisher_information`.

    Returns
    -------
    dict of str to float32 array
        In the parameters' shapes.
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
    """Return 1 / variance of each weight over a training trajectory: steady weights are important.

    Parameters
    ----------
    snapshots : iterable of state dicts
        After several steps of training at a steady learning rate each.
    prior_samples : float
        Number of snapshots that the tensor's mean variance counts for; it bounds the importance of weights that never
        changed.

    Returns
    -------
    dict of str to float32[shape]
        Keys are the names of the snapshots.

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
        raise ValueError("a variance needs two snapshots or more")
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
    seed: int = 0,
    largest_width: int = 8192,
    uses: Mapping[str, NDArray[np.floating]] | None = None,
) -> dict[str, Curvature | NDArray[np.float32]]:
    """Return the curvature X'X of every Linear and convolution, and that of an Embedding's rows.

    With `by_output`, each input's weight in X'X is the squared derivative at its outputs.

    Parameters
    ----------
    model : torch.nn.Module
    batches : iterable
    run : callable of (model, batch)
        Returns outputs of shape [samples, ...].
    by_output : bool
        Weight each layer's outputs by the mean square of the model's derivative at them, which also makes layers
        comparable; it costs a backward pass per batch.
    damping : float
        See `Curvature`.
    largest_width : int
        Layers with more inputs are skipped: their matrix would take too much memory.
    uses : mapping of str to float[rows], optional
        Use counts of each Embedding's rows, by its weight's name, from more inputs than the batches: counting needs no
        model, and a vocabulary is large. Rows whose counts lie in the same octave share their statistics.

    Returns
    -------
    dict of str to Curvature, or to float32[rows, 1] for an Embedding without `by_output`
    """
    import torch

    collectors = {}
    for name, module in model.named_modules():
        key = f"{name}.weight" if name else "weight"
        collector = _collector_for(module, largest_width, None if uses is None else uses.get(key))
        if collector is not None:
            collectors[key] = collector, module
    generator = torch.Generator().manual_seed(seed)
    n_samples = 0
    hooks = []
    try:
        for collector, module in collectors.values():
            hooks.append(module.register_forward_hook(collector.on_forward))
        with _evaluating(model), torch.set_grad_enabled(by_output):
            for batch in batches:
                outputs = run(model, batch)
                n_samples += len(outputs)
                if by_output:
                    (outputs * torch.randn(outputs.shape, generator=generator)).sum().backward()
                    model.zero_grad(set_to_none=True)
    finally:
        for hook in hooks:
            hook.remove()
    curvatures = {
        name: collector.result(max(n_samples, 1), damping) for name, (collector, _) in collectors.items()
    }
    return {name: value for name, value in curvatures.items() if value is not None}


class _LayerCollector:
    """Sums over a layer's inputs and over the gradients at its outputs."""

    def __init__(self, rows_of: Callable[[Any, Any], Any], outputs_of: Callable[[Any], Any]) -> None:
        self._rows_of, self._outputs_of = rows_of, outputs_of
        self._products: Any = None
        self._squares: Any = None
        self._weight = 0.0

    def on_forward(self, module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        rows = self._rows_of(module, inputs[0].detach())
        if output.requires_grad:
            # The weight of an input is its effect: large inputs on which no output depends have none.
            output.register_hook(lambda gradient: self._on_gradient(rows, gradient))
        else:
            self._add(rows, rows, float(len(rows)))

    def _on_gradient(self, rows: Any, gradient: Any) -> None:
        squares = self._outputs_of(gradient.detach()).square()
        weights = squares.sum(1)
        self._add(rows * weights[:, None], rows, float(weights.sum()))
        by_output = squares.double().sum(0)
        self._squares = by_output if self._squares is None else self._squares + by_output

    def _add(self, weighted: Any, rows: Any, weight: float) -> None:
        if self._products is None:
            self._products = weighted.T @ rows
        else:
            self._products.addmm_(weighted.T, rows)
        self._weight += weight

    def result(self, n_samples: int, damping: float) -> Curvature | None:
        if self._products is None or not self._weight > 0:
            return None
        matrix = (self._products / self._weight).numpy()
        rows = None if self._squares is None else (self._squares / n_samples).numpy()
        if rows is not None and rows.max() > 0:
            # Few samples may miss an output; a floor keeps its weight above zero.
            rows = np.maximum(rows, 1e-3 * rows.mean())
        else:
            rows = None
        return Curvature(matrix, rows, damping)


def _collector_for(
    module: Any, largest_width: int, uses: NDArray[np.floating] | None
) -> _LayerCollector | EmbeddingCollector | None:
    import torch

    if isinstance(module, torch.nn.Linear):
        if module.in_features > largest_width:
            return None
        return _LayerCollector(
            lambda m, x: x.reshape(-1, m.in_features), lambda g: g.reshape(-1, g.shape[-1])
        )
    if isinstance(module, (torch.nn.Conv1d, torch.nn.Conv2d)):
        width = module.weight[0].numel()
        # Each group of a grouped convolution has other inputs, which one matrix cannot describe.
        if width > largest_width or (module.groups > 1 and module.groups != module.out_channels):
            return None
        if module.groups > 1:
            return None
        return _LayerCollector(_patches, lambda g: g.movedim(1, -1).reshape(-1, g.shape[1]))
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
            # In place and in single precision: a double copy costs more time than the gradient itself.
            single = gradient.detach().float()
            total.addcmul_(single, single)


def _means(sums: Mapping[str, Any], n_samples: int, damping: float) -> Importances:
    return {
        name: ((total + damping * total.mean()) / max(n_samples, 1)).cpu().numpy()
        for name, total in sums.items()
    }


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Switch the model to evaluation mode, and back to its previous mode."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
