# SPDX-License-Identifier: Apache-2.0
"""Silero's voice detector, and the grapheme-to-phoneme network of g2p-en."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from torch import Tensor

from tools.packages import unpacked
from tools.research.quality.subject import Subject, Tensors, mean_divergence
from tools.research.quality.texts import licence_words
from tools.research.reproduce.silero import VoiceDetector
from tools.research.reproduce.speech import evaluation_clips

_N_CLIPS = 8
_N_WORDS = 150
_LONGEST = 20
_END_OF_WORD, _FIRST_LETTER = 2, 3
_START, _END = 2, 3


def voice(cache: Path) -> Subject:
    """Voice detector on recorded speech with noise."""
    (path,) = unpacked("silero-vad==6.2.3", cache).glob("silero_vad/data/silero_vad_16k.safetensors")
    tensors = load_file(path)
    network = VoiceDetector().eval()
    clips = torch.from_numpy(evaluation_clips(cache, _N_CLIPS))

    def probabilities(values: Tensors) -> np.ndarray:
        network.load(values)
        with torch.no_grad():
            return np.asarray(network(clips))

    reference = probabilities(tensors)
    return Subject(
        "voice", "mean change of probability", tensors,
        lambda decoded: float(np.abs(probabilities(decoded) - reference).mean()), (1e-3, 4e-3, 1.5e-2),
        per_octave=6,
    )  # fmt: skip


def g2p(cache: Path) -> Subject:
    """Grapheme-to-phoneme network on words of the GPL; every decoder sees the phonemes that the original predicts."""
    with np.load(unpacked("g2p-en==2.1.0", cache) / "g2p_en" / "checkpoint20.npz") as archive:
        tensors = dict(archive)
    network = _PhonemeNetwork(licence_words()[:_N_WORDS])
    phonemes = network.predict(tensors)
    reference = network.distributions(tensors, phonemes)
    return Subject(
        "g2p", "mean KL", tensors,
        lambda decoded: mean_divergence(reference, network.distributions(decoded, phonemes)), (1e-4, 1e-3, 1e-2),
    )  # fmt: skip


class _PhonemeNetwork:
    """Encoder and decoder, one GRU each, for one word at a time."""

    def __init__(self, words: list[str]) -> None:
        self._words = [
            [ord(letter) - ord("a") + _FIRST_LETTER for letter in word] + [_END_OF_WORD] for word in words
        ]

    def predict(self, tensors: Tensors) -> list[list[int]]:
        """Return the most probable phonemes of every word, from the start symbol to the end symbol."""
        t = _as_torch(tensors)
        result = []
        for word in self._words:
            h, phonemes = self._encoded(t, word), [_START]
            while (len(phonemes) <= _LONGEST and phonemes[-1] != _END) or len(phonemes) == 1:
                h = _gru(t["dec_emb"][phonemes[-1]], h, t, "dec")
                phonemes.append(int((t["fc_w"] @ h + t["fc_b"]).argmax()))
            result.append(phonemes)
        return result

    def distributions(self, tensors: Tensors, phonemes: list[list[int]]) -> np.ndarray:
        """Return the decoder's distributions: float64[phonemes, 74]."""
        t = _as_torch(tensors)
        outputs = []
        for word, sequence in zip(self._words, phonemes, strict=True):
            h = self._encoded(t, word)
            for phoneme in sequence[:-1]:
                h = _gru(t["dec_emb"][phoneme], h, t, "dec")
                outputs.append(torch.softmax((t["fc_w"] @ h + t["fc_b"]).double(), -1))
        return np.asarray(torch.stack(outputs))

    def _encoded(self, t: dict[str, Tensor], word: list[int]) -> Tensor:
        h = torch.zeros(256)
        for letter in word:
            h = _gru(t["enc_emb"][letter], h, t, "enc")
        return h


def _as_torch(tensors: Tensors) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(array, np.float32)) for name, array in tensors.items()}


def _gru(x: Tensor, h: Tensor, t: dict[str, Tensor], side: str) -> Tensor:
    from_input = (t[f"{side}_w_ih"] @ x + t[f"{side}_b_ih"]).chunk(3)
    from_state = (t[f"{side}_w_hh"] @ h + t[f"{side}_b_hh"]).chunk(3)
    r = torch.sigmoid(from_input[0] + from_state[0])
    z = torch.sigmoid(from_input[1] + from_state[1])
    n = torch.tanh(from_input[2] + r * from_state[2])
    return (1 - z) * n + z * h
