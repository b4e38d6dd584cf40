# SPDX-License-Identifier: Apache-2.0
"""Models with a quality measure and with importances, computed on disjoint inputs.

The measure compares the outputs with those of the original model, without labels or tuning.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from nnr_codec.frameworks import open_model, torch_importance
from nnr_codec.quant import Curvature
from tools.research.reproduce.datasets import load_dataset
from tools.research.reproduce.minilm import SentenceEncoder
from tools.research.reproduce.networks import NETWORKS, Network
from tools.research.reproduce.sentences import calibration_texts, evaluation_texts, glosses, probing_texts
from tools.research.reproduce.silero import VoiceDetector, network_name, weights_path
from tools.research.reproduce.speech import calibration_clips, evaluation_clips, probing_clips

Tensors = dict[str, npt.NDArray[np.float32]]
Importances = dict[str, "npt.NDArray[np.float32] | Curvature"]
TASKS = ("sentences", "voice", "lenet300", "lenet5")
_WORDS = "embeddings.word_embeddings.weight"
# Sensitivities need a gradient of the whole model per batch, so fewer texts are used.
_SENSITIVITY_TEXTS = 200


@dataclass(frozen=True)
class Quality:
    """Quality of a decoded model: `loss` is 0 for the original, `shown` is a common measure."""

    loss: float
    shown: float


@dataclass(frozen=True)
class Task:
    """Model with its quality measure and importances.

    Attributes
    ----------
    tensors : dict of str to float32 array
    quality : callable
        Quality of decoded tensors.
    loss_name, shown_name : str
    diagonals : dict of str to callable
        Functions that compute importances per weight, by name.
    curvatures : callable
        Function that computes curvatures of layers, and diagonals of the other tensors.
    probe : callable
        Loss of decoded tensors on inputs that neither `quality` nor the importances use.
    rows_of : str or None
        Tensor with rows of very different importance, such as a vocabulary.
    """

    tensors: Tensors
    quality: Callable[[Mapping[str, npt.NDArray[Any]]], Quality]
    loss_name: str
    shown_name: str
    diagonals: Mapping[str, Callable[[], Importances]]
    curvatures: Callable[[], Importances]
    probe: Callable[[Mapping[str, npt.NDArray[Any]]], float]
    rows_of: str | None = None


def load_task(name: str, folder: Path, lenet_file: Path | None = None) -> Task:
    """Load a task; packages are unpacked in `folder`.

    Parameters
    ----------
    lenet_file : Path, optional
        Float parameters of a LeNet, written by `lenet.py`.
    """
    if name == "sentences":
        return _sentences(folder)
    if name == "voice":
        return _voice(folder)
    if lenet_file is None:
        raise ValueError("a LeNet's task needs its parameters")
    return _lenet(NETWORKS[name], folder, lenet_file)


def _sentences(folder: Path) -> Task:
    encoder = SentenceEncoder(folder)
    with open_model(encoder.weights_path) as model:
        # Embeddings do not use pooler and position ids.
        original = {key: np.asarray(model[key], np.float32) for key in encoder.network.state_dict()}
    encoder.load(original)

    def cosine_to_original(texts: list[str]) -> Callable[[Mapping[str, npt.NDArray[Any]]], float]:
        expected = encoder.embed(texts)

        def cosine(decoded: Mapping[str, npt.NDArray[Any]]) -> float:
            encoder.load(decoded)
            similarity = float((encoder.embed(texts) * expected).sum(1).mean(dtype=np.float64))
            encoder.load(original)
            return similarity

        return cosine

    judged, probed = cosine_to_original(evaluation_texts()), cosine_to_original(probing_texts(folder))

    def quality(decoded: Mapping[str, npt.NDArray[Any]]) -> Quality:
        cosine = judged(decoded)
        return Quality(1 - cosine, cosine)

    texts = calibration_texts(folder)

    @functools.cache
    def layers() -> Importances:
        # The calibration texts are part of the glosses; subtract them to count independent uses.
        others = encoder.token_counts(glosses(folder)) - encoder.token_counts(texts)
        uses = {_WORDS: np.maximum(others, 0)}
        return dict(torch_importance.layer_curvatures(encoder.network, encoder.batches(texts), uses=uses))

    @functools.cache
    def sensitivity() -> Importances:
        diagonals = _sensitivity(encoder.network, encoder.batches(texts[:_SENSITIVITY_TEXTS]))
        # Few texts reach few rows of the vocabulary, so take its diagonal from the curvature.
        words = cast(Curvature, layers()[_WORDS])
        rows = np.asarray(words.row_weights, np.float32)
        return {**diagonals, _WORDS: rows[:, None] * words.diagonal.astype(np.float32)}

    return Task(
        original,
        quality,
        "1 - cosine",
        "mean cosine",
        # Without labels: for Gaussian noise on the outputs, the Fisher information is the Gauss-Newton diagonal.
        {"Fisher": sensitivity},
        lambda: {**sensitivity(), **layers()},
        lambda decoded: 1 - probed(decoded),
        rows_of=_WORDS,
    )


def _voice(folder: Path) -> Task:
    with open_model(weights_path(folder)) as model:
        original = {key: np.asarray(model[key], np.float32) for key in model}
    network = VoiceDetector()
    network.load(original)

    def against_original(clips: Tensor) -> Callable[[Mapping[str, npt.NDArray[Any]]], Quality]:
        with torch.no_grad():
            expected = network(clips)

        def quality(decoded: Mapping[str, npt.NDArray[Any]]) -> Quality:
            network.load(decoded)
            with torch.no_grad():
                outputs = network(clips)
            network.load(original)
            same = float(((outputs >= 0.5) == (expected >= 0.5)).double().mean())
            return Quality(float((outputs - expected).abs().double().mean()), 100 * same)

        return quality

    quality = against_original(torch.from_numpy(evaluation_clips(folder)))
    probed = against_original(torch.from_numpy(probing_clips(folder)))

    def batches() -> list[Tensor]:
        return list(torch.from_numpy(calibration_clips(folder)).split(4))

    def renamed(importances: Importances) -> Importances:
        return {key: importances[network_name(key)] for key in original}

    return Task(
        original,
        quality,
        "mean difference of probabilities",
        "same decisions, %",
        {
            "Fisher, not damped": lambda: renamed(_sensitivity(network, batches(), damping=0.0)),
            "Fisher": lambda: renamed(_sensitivity(network, batches())),
        },
        lambda: renamed(_curvatures(network, batches())),
        # Squared, because errors of probabilities are proportional to the step size.
        lambda decoded: probed(decoded).loss ** 2,
    )


class _LeNet(nn.Module):
    """Networks of `networks.py` as torch modules, for per-layer curvatures."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        for layer in network.layers:
            shape = network.shapes[layer]
            kind = (
                nn.Conv2d(shape[1], shape[0], shape[2]) if len(shape) == 4 else nn.Linear(shape[1], shape[0])
            )
            self.add_module(layer, kind)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        *before, last = self.children()
        for layer in before:
            if isinstance(layer, nn.Conv2d):
                x = functional.max_pool2d(layer(x.reshape(-1, 1, 28, 28) if x.dim() == 2 else x), 2)
            else:
                x = functional.relu(layer(x.flatten(1)))
        return last(x)


def _lenet(network: Network, folder: Path, path: Path) -> Task:
    with np.load(path) as archive:
        original = {key: archive[key] for key in archive.files}
    images = load_dataset("fashion" if path.name.startswith("fashion") else "mnist", folder)
    model = _LeNet(network)

    def put(tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        model.load_state_dict({key: torch.from_numpy(np.array(tensors[key], np.float32)) for key in original})

    put(original)

    def on(shown: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> Callable[[Any], Quality]:
        inputs, right = torch.from_numpy(shown).float() / 255.0, torch.from_numpy(labels).long()
        with torch.no_grad():
            expected = functional.log_softmax(model(inputs), 1)

        def quality(decoded: Mapping[str, npt.NDArray[Any]]) -> Quality:
            put(decoded)
            with torch.no_grad():
                outputs = functional.log_softmax(model(inputs), 1)
            put(original)
            divergence = float(functional.kl_div(outputs, expected, log_target=True, reduction="batchmean"))
            return Quality(divergence, 100.0 * int((outputs.argmax(1) == right).sum()) / len(right))

        return quality

    quality = on(images.test_images, images.test_labels)
    probed = on(images.validation_images, images.validation_labels)
    calibration = torch.from_numpy(images.train_images[:1000]).float() / 255.0
    labels = torch.from_numpy(images.train_labels[:1000]).long()

    def fisher() -> Importances:
        def losses(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
            return functional.cross_entropy(net(batch[0]), batch[1], reduction="none")

        importances: Importances = {}
        importances |= torch_importance.fisher_information(
            model, zip(calibration.split(50), labels.split(50), strict=True), losses
        )
        return importances

    batches = list(calibration.split(100))
    return Task(
        original,
        quality,
        "KL divergence",
        "test accuracy, %",
        {"Fisher (labels)": fisher, "Fisher (outputs)": lambda: _sensitivity(model, batches)},
        lambda: _curvatures(model, batches),
        lambda decoded: probed(decoded).loss,
    )


def _sensitivity(model: nn.Module, batches: list[Any], **options: Any) -> Importances:
    return dict(torch_importance.output_sensitivity(model, batches, **options))


def _curvatures(model: nn.Module, batches: list[Any]) -> Importances:
    return {**_sensitivity(model, batches), **torch_importance.layer_curvatures(model, batches)}
