# SPDX-License-Identifier: Apache-2.0
"""Sentence encoder all-MiniLM-L6-v2 on sentences of its reproduction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from nnr_codec.frameworks import open_model
from nnr_codec.frameworks.pretrained import RunnableTransformer
from tools.research.quality.subject import Calibration, Subject, Tensors
from tools.research.reproduce.minilm import SentenceEncoder
from tools.research.reproduce.sentences import evaluation_texts, example_texts

_N_TEXTS = 48
_N_CALIBRATION = 300


def sentences(cache: Path) -> Subject:
    """Sentence encoder; the divergence is 1 minus the mean cosine."""
    encoder = SentenceEncoder(cache)
    tensors = {
        name: array for name, array in load_file(encoder.weights_path).items() if array.dtype == np.float32
    }
    texts = evaluation_texts()[:_N_TEXTS]

    def embeddings(values: Tensors) -> np.ndarray:
        encoder.load(values)
        return encoder.embed(texts).astype(np.float64)

    reference = embeddings(tensors)
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)

    def divergence(decoded: Tensors) -> float:
        vectors = embeddings(decoded)
        return 1 - float(((vectors * reference).sum(1) / np.linalg.norm(vectors, axis=1)).mean())

    def calibration(made: bool, seed: int) -> Calibration:
        folder = encoder.weights_path.parent
        text = cache / f"sentences-{seed}.txt"
        chosen = np.random.default_rng(seed).permutation(example_texts(cache, 2 * _N_CALIBRATION))[
            :_N_CALIBRATION
        ]
        text.write_text("\n".join(chosen))
        model = RunnableTransformer(
            open_model(encoder.weights_path), str(folder), None if made else text, seed=seed
        )
        return Calibration(model, tensors)

    return Subject(
        "sentences", "1 - mean cosine", tensors, divergence, (5e-4, 3e-3, 1.2e-2), per_octave=1, neighbours=2,
        calibration=calibration,
    )  # fmt: skip
