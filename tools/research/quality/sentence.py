# SPDX-License-Identifier: Apache-2.0
"""Sentence encoder all-MiniLM-L6-v2 on sentences of its reproduction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from tools.research.quality.subject import Subject, Tensors
from tools.research.reproduce.minilm import SentenceEncoder
from tools.research.reproduce.sentences import evaluation_texts

_N_TEXTS = 48


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

    return Subject("sentences", "1 - mean cosine", tensors, divergence, (5e-4, 3e-3, 1.2e-2), per_octave=2)
