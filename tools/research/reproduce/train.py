# SPDX-License-Identifier: Apache-2.0
"""Training, pruning and quantisation of a small network for a small coded size.

The run has three phases and can be resumed after every epoch:

1. dense: distillation from the teacher on the pool of distorted images;
2. prune: gradual magnitude pruning, weights ranked over the whole network by the loss their removal is
   expected to cost (w² times the diagonal Fisher information) per bit they cost;
3. quantise: rounds of straight-through training on the quantiser's grid; each round starts by removing a
   share of the non-zero levels and ends annealed, so the rounds trace a size-accuracy curve.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tools.research.reproduce.augment import Pool
from tools.research.reproduce.datasets import ImageSet
from tools.research.reproduce.networks import (
    Alive,
    Network,
    Parameters,
    count_correct,
    find_alive,
    forward,
    initial_parameters,
    put_alive,
    take_alive,
)
from tools.research.reproduce.rate_proxy import Levels, estimate_bytes

# Steps between prunings, which also remove dead units from the computation.
_STEPS_PER_SEGMENT = 100
_BETAS = (0.9, 0.999)


@dataclass(frozen=True)
class Plan:
    """Settings of a run.

    Attributes
    ----------
    pruned_density : float
        Share of non-zero parameters at the end of the prune phase.
    keep_per_round : float
        Share of the non-zero levels that a quantise round keeps.
    step_ratio : float
        Step size over the root mean square of a tensor's non-zero weights.
    dead_zone : float
        Magnitudes below this many steps become level 0.
    channels : dict
        Number of outputs to keep, by layer.
    """

    dense_epochs: int
    prune_epochs: int
    pruned_density: float
    rounds: int
    epochs_per_round: int
    keep_per_round: float
    step_ratio: float
    learning_rate: float = 1e-3
    quantise_learning_rate: float = 5e-4
    batch: int = 128
    dead_zone: float = 0.6
    clean_share: float = 0.3
    temperature: float = 2.0
    teacher_share: float = 0.7
    channels: dict[str, int] = field(default_factory=dict)


def snap_step(step: float) -> float:
    """Round to the nearest step size of qp_density 2: (4..7)/4 times a power of two."""
    exponent = math.floor(math.log2(step))
    candidates = [(4 + k) / 4 * 2.0**e for e in (exponent, exponent + 1) for k in range(4)]
    return min(candidates, key=lambda candidate: abs(math.log(candidate / step)))


def quantise(weights: Tensor, step: float, dead_zone: float) -> Tensor:
    """Quantise to levels, as floats: round, and set magnitudes below the dead zone to 0."""
    scaled = weights / step
    return torch.where(scaled.abs() < dead_zone, 0.0, scaled.sign() * scaled.abs().round().clamp(min=1))


@dataclass
class State:
    """State for resuming a run."""

    latent: Parameters
    masks: dict[str, Tensor]
    # Moments of Adam; the second one is used as diagonal Fisher information.
    first_moment: Parameters
    second_moment: Parameters
    n_updates: int = 0
    steps: dict[str, float] = field(default_factory=dict)
    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


class Trainer:
    """Training of one network with one seed."""

    def __init__(
        self,
        network: Network,
        plan: Plan,
        images: ImageSet,
        pool: Pool,
        seed: int,
        stem: Path,
        log: Callable[[str], None],
    ) -> None:
        self.network, self.plan, self.images, self.pool, self.seed = network, plan, images, pool, seed
        self.stem, self.log = stem, log
        self.labels = torch.from_numpy(images.train_labels).long()
        self.path = Path(f"{stem}-state.pt")
        if self.path.exists():
            self.state = State(**torch.load(self.path, weights_only=True))
        else:
            latent = initial_parameters(network, torch.Generator().manual_seed(seed))
            masks = {name: torch.ones_like(value) for name, value in latent.items()}
            zeros = {name: torch.zeros_like(value) for name, value in latent.items()}
            self.state = State(latent, masks, zeros, {name: value.clone() for name, value in zeros.items()})

    def run(self) -> None:
        """Run the remaining epochs."""
        plan = self.plan
        start_prune = plan.dense_epochs
        start_rounds = start_prune + plan.prune_epochs
        end = start_rounds + plan.rounds * plan.epochs_per_round
        while self.state.epoch < end:
            epoch = self.state.epoch
            started = time.monotonic()
            if epoch < start_prune:
                done, span, phase, peak = epoch, plan.dense_epochs, "dense", plan.learning_rate
            elif epoch < start_rounds:
                done, span, phase, peak = epoch - start_prune, plan.prune_epochs, "prune", plan.learning_rate
            else:
                done = (epoch - start_rounds) % plan.epochs_per_round
                span, phase, peak = plan.epochs_per_round, "quantise", plan.quantise_learning_rate
                if epoch == start_rounds:
                    self.state.steps = self._choose_steps()
                elif done == 0:
                    self._prune(round(self._count_nonzero() * plan.keep_per_round))
            loss = self._run_epoch(phase, peak, done, span)
            self.state.epoch += 1
            self._report(phase, loss, time.monotonic() - started)
            if phase == "quantise" and done == span - 1:
                index = (epoch - start_rounds) // plan.epochs_per_round
                self._save_levels(Path(f"{self.stem}-round{index:02d}.npz"))
            elif epoch + 1 == start_prune:
                self._save_float(Path(f"{self.stem}-dense.npz"))
                # A copy of this file is the start of runs with other settings of the later phases.
                self._save(Path(f"{self.stem}-dense.pt"))
            elif epoch + 1 == start_rounds:
                self._save_float(Path(f"{self.stem}-float.npz"))
                self._save(Path(f"{self.stem}-pruned.pt"))
            self._save(self.path)

    def effective(self) -> Parameters:
        """Parameters of the forward pass: masked, and quantised once step sizes are chosen."""
        state = self.state
        return {name: self._on_grid(name, value * state.masks[name]) for name, value in state.latent.items()}

    def _on_grid(self, name: str, value: Tensor) -> Tensor:
        if not self.state.steps:
            return value
        step = self.state.steps[name]
        return quantise(value, step, self.plan.dead_zone) * step

    def levels(self) -> dict[str, Levels]:
        """Levels; before the quantise phase, at the step sizes that it would choose."""
        steps = self.state.steps or self._choose_steps()
        return {
            name: quantise(value * self.state.masks[name], steps[name], self.plan.dead_zone).int().numpy()
            for name, value in self.state.latent.items()
        }

    def _run_epoch(self, phase: str, peak: float, done: int, span: int) -> float:
        plan = self.plan
        generator = np.random.default_rng([self.seed, self.state.epoch])
        images, logits = self.pool.draw(generator, plan.clean_share)
        order = torch.from_numpy(generator.permutation(len(images)))
        n_batches = len(images) // plan.batch
        total = 0.0
        for first in range(0, n_batches, _STEPS_PER_SEGMENT):
            if phase == "prune":
                self._remove_channels((done + first / n_batches) / span)
                self._prune(self._scheduled_count((done + first / n_batches) / span))
            segment = range(first, min(first + _STEPS_PER_SEGMENT, n_batches))
            rates = [self._learning_rate(phase, peak, (done + index / n_batches) / span) for index in segment]
            batches = [order[index * plan.batch : (index + 1) * plan.batch] for index in segment]
            total += self._run_segment(images, logits, batches, rates)
        return total / n_batches

    def _run_segment(
        self, images: Tensor, logits: Tensor, batches: list[Tensor], rates: list[float]
    ) -> float:
        """Run Adam on the live units; gradients pass the quantiser unchanged (straight-through)."""
        network, state = self.network, self.state
        alive = self._alive()
        whole = (state.latent, state.masks, state.first_moment, state.second_moment)
        latent, masks, first, second = (take_alive(network, part, alive) for part in whole)
        total = 0.0
        for rows, rate in zip(batches, rates, strict=True):
            effective = {name: self._on_grid(name, value).clone() for name, value in latent.items()}
            for value in effective.values():
                value.requires_grad_()
            output = forward(network, effective, images[rows].float() / 255.0, alive)
            loss = self._loss(output, rows, logits)
            loss.backward()
            state.n_updates += 1
            correction = math.sqrt(1 - _BETAS[1] ** state.n_updates) / (1 - _BETAS[0] ** state.n_updates)
            for name, value in latent.items():
                gradient = effective[name].grad
                if gradient is None:
                    raise RuntimeError(f"{name} has no gradient")
                gradient.mul_(masks[name])
                first[name].lerp_(gradient, 1 - _BETAS[0])
                second[name].mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
                value.addcdiv_(first[name], second[name].sqrt().add_(1e-8), value=-rate * correction)
                value.mul_(masks[name])
            total += float(loss.detach())
        for part, taken in zip(whole, (latent, masks, first, second), strict=True):
            put_alive(network, part, alive, taken)
        return total

    def _loss(self, output: Tensor, rows: Tensor, logits: Tensor) -> Tensor:
        t, share = self.plan.temperature, self.plan.teacher_share
        target = functional.softmax(logits[rows] / t, 1)
        distillation = functional.cross_entropy(output / t, target) * t * t
        return share * distillation + (1 - share) * functional.cross_entropy(output, self.labels[rows])

    def _learning_rate(self, phase: str, peak: float, progress: float) -> float:
        # While pruning, the rate stays at its peak until the last third, so that the network recovers.
        fraction = max(0.0, (progress - 0.65) / 0.35) if phase == "prune" else progress
        return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * fraction)))

    @torch.no_grad()
    def _remove_channels(self, progress: float) -> None:
        """Remove the least useful channels over the first 30 % of the phase, which speeds up the rest."""
        for layer, target in self.plan.channels.items():
            name = f"{layer}.weight"
            mask = self.state.masks[name]
            count = round(mask.shape[0] - (mask.shape[0] - target) * min(1.0, progress / 0.3))
            score = self.state.latent[name].square() * self.state.second_moment[name] * mask
            removed = score.flatten(1).sum(1).argsort(descending=True)[count:]
            mask[removed] = 0.0
            self.state.masks[f"{layer}.bias"][removed] = 0.0

    def _scheduled_count(self, progress: float) -> int:
        # Cubic decay of the density over the first 70 % of the phase (Zhu and Gupta 2017).
        remaining = 1 - min(1.0, progress / 0.7)
        final = self.plan.pruned_density
        return round(self.network.n_parameters * (final + (1 - final) * remaining**3))

    def _count_nonzero(self) -> int:
        return sum(int(torch.count_nonzero(value)) for value in self.effective().values())

    @torch.no_grad()
    def _prune(self, count: int) -> None:
        """Keep the ``count`` parameters with the largest expected loss per bit, and drop dead units."""
        effective = self.effective()
        scores = []
        for name, value in effective.items():
            fisher = self.state.second_moment[name]
            density = max(1, int(torch.count_nonzero(value))) / value.numel()
            # Bits of the position, then of sign and magnitude.
            bits = -math.log2(density) + 1.44 * min(1.0, 1 - density) + 2.2
            scores.append((value.square() * (fisher + 1e-16) / bits).flatten())
        merged = torch.cat(scores)
        if count < int(torch.count_nonzero(merged)):
            threshold = torch.kthvalue(merged, merged.numel() - count).values
            for (name, value), score in zip(effective.items(), scores, strict=True):
                self.state.masks[name] = (score > threshold).reshape(value.shape).float()
        self._drop_dead()

    @torch.no_grad()
    def _drop_dead(self) -> None:
        alive = self._alive()
        for layer in self.network.layers:
            weight_mask = self.state.masks[f"{layer}.weight"]
            rows = torch.zeros(weight_mask.shape[0], dtype=torch.bool)
            rows[alive.outputs[layer]] = True
            columns = torch.zeros(weight_mask.shape[1], dtype=torch.bool)
            columns[alive.inputs[layer]] = True
            shape = (-1, 1) + (1,) * (weight_mask.dim() - 2)
            weight_mask *= rows.reshape(shape) * columns.reshape((1, -1, *shape[2:]))
            self.state.masks[f"{layer}.bias"] *= rows

    def _alive(self) -> Alive:
        # Use the masks, because a zero level may leave the dead zone again.
        return find_alive(self.network, self.state.masks)

    def _choose_steps(self) -> dict[str, float]:
        steps = {}
        for name, value in self.state.latent.items():
            kept = value[self.state.masks[name] > 0]
            scale = float(kept.square().mean().sqrt()) if len(kept) else 1.0
            steps[name] = snap_step(max(scale, 1e-6) * self.plan.step_ratio)
        return steps

    def _report(self, phase: str, loss: float, seconds: float) -> None:
        effective = self.effective()
        labels = torch.from_numpy(self.images.validation_labels)
        held_out = torch.from_numpy(self.images.validation_images)
        correct = count_correct(self.network, effective, held_out, labels)
        n_shown = 20000
        seen = torch.from_numpy(self.images.train_images[:n_shown])
        fitted = count_correct(self.network, effective, seen, self.labels[:n_shown])
        nonzero = sum(int(torch.count_nonzero(value)) for value in effective.values())
        record = {
            "epoch": self.state.epoch,
            "phase": phase,
            "loss": loss,
            "validation_accuracy": 100.0 * correct / len(labels),
            "train_accuracy": 100.0 * fitted / n_shown,
            "nonzero": nonzero,
            "density_percent": 100.0 * nonzero / self.network.n_parameters,
            "proxy_bytes": estimate_bytes(self.levels()),
            "seconds": seconds,
        }
        self.state.history.append(record)
        alive = self._alive()
        widths = "-".join(str(len(alive.outputs[layer])) for layer in self.network.layers)
        self.log(
            f"{phase} {self.state.epoch} loss {loss:.4f} validation {record['validation_accuracy']:.2f} "
            f"train {record['train_accuracy']:.2f} nonzero {nonzero} ({record['density_percent']:.2f} %) "
            f"proxy {record['proxy_bytes']} B units {widths} {seconds:.0f} s"
        )

    def _save_levels(self, path: Path) -> None:
        arrays = {}
        for name, levels in self.levels().items():
            step = np.float32(self.state.steps[name])
            arrays[name] = levels.astype(np.float32) * step
            arrays[f"{name}:step"] = step
        np.savez_compressed(path, **arrays)

    def _save_float(self, path: Path) -> None:
        np.savez_compressed(path, **{name: value.numpy() for name, value in self.effective().items()})

    def _save(self, path: Path) -> None:
        state = {item.name: getattr(self.state, item.name) for item in fields(State)}
        torch.save(state, path.with_suffix(".partial"))
        path.with_suffix(".partial").replace(path)
