# SPDX-License-Identifier: Apache-2.0
"""Silero's voice detector, and the grapheme-to-phoneme network of g2p-en."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from torch import Tensor, nn

from tools.packages import unpacked
from tools.research.quality.module import RunnableModule, made_batches
from tools.research.quality.subject import Calibration, Subject, Tensors, mean_divergence
from tools.research.quality.texts import licence_words
from tools.research.reproduce.silero import VoiceDetector, network_name
from tools.research.reproduce.speech import calibration_clips, evaluation_clips

_N_CLIPS = 8
_N_CALIBRATION_CLIPS, _N_CALIBRATION_WORDS = 16, 480
_CALIBRATION_TEXTS = ("MPL-2.0", "Apache-2.0", "GFDL-1.3", "MPL-1.1")
_N_WORDS = 150
_LONGEST = 20
_END_OF_WORD, _FIRST_LETTER = 2, 3
_START, _END = 2, 3
_EMBEDDINGS = ("enc_emb", "dec_emb")
_MATRICES = ("enc_w_ih", "enc_w_hh", "dec_w_ih", "dec_w_hh", "fc_w")


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

    def calibration(made: bool, seed: int) -> Calibration:
        if made:
            batches = made_batches((4, clips.shape[1]), _N_CALIBRATION_CLIPS, seed)
        else:
            recorded = torch.from_numpy(calibration_clips(cache, 2 * _N_CALIBRATION_CLIPS))
            order = torch.randperm(len(recorded), generator=torch.Generator().manual_seed(seed))
            batches = list(recorded[order[:_N_CALIBRATION_CLIPS]].split(4))
        detector = VoiceDetector()
        detector.load(tensors)
        model = RunnableModule(
            _Voice(detector), batches, list(tensors), lambda name: f"network.{network_name(name)}", made=made
        )
        return Calibration(model, tensors)

    return Subject(
        "voice", "mean change of probability", tensors,
        lambda decoded: float(np.abs(probabilities(decoded) - reference).mean()), (1e-3, 4e-3, 1.5e-2),
        per_octave=6, calibration=calibration,
    )  # fmt: skip


class _Voice(nn.Module):
    """Voice detector whose outputs are the distributions of silence and speech."""

    def __init__(self, network: VoiceDetector) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Tensor:
        speech = self.network(clips)
        return torch.stack([1 - speech, speech], -1)


def g2p(cache: Path) -> Subject:
    """Grapheme-to-phoneme network on words of the GPL; every decoder sees the phonemes that the original predicts."""
    with np.load(unpacked("g2p-en==2.1.0", cache) / "g2p_en" / "checkpoint20.npz") as archive:
        tensors = dict(archive)
    network = _PhonemeNetwork(licence_words()[:_N_WORDS])
    phonemes = network.predict(tensors)
    reference = network.distributions(tensors, phonemes)

    def calibration(made: bool, seed: int) -> Calibration:
        generator = np.random.default_rng(seed)
        if made:
            letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
            words = ["".join(generator.choice(letters, 4 + i % 8)) for i in range(_N_CALIBRATION_WORDS)]
        else:
            texts = (word for name in _CALIBRATION_TEXTS for word in licence_words(name))
            others = sorted(set(texts) - set(licence_words()))
            words = list(generator.choice(others, _N_CALIBRATION_WORDS, replace=False))
        network = _PhonemeNetwork(words)
        batches = [
            (torch.tensor(word), sequence)
            for word, sequence in zip(network.words, network.predict(tensors), strict=True)
        ]
        model = RunnableModule(_Phonemes(tensors), batches, list(tensors), _phonemes_name, made=made)
        return Calibration(model, tensors)

    return Subject(
        "g2p", "mean KL", tensors,
        lambda decoded: mean_divergence(reference, network.distributions(decoded, phonemes)), (1e-4, 1e-3, 1e-2),
        calibration=calibration,
    )  # fmt: skip


class _Phonemes(nn.Module):
    """Network of g2p-en with a linear layer for each matrix, one word at a time, after its own most probable phonemes."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        for name in _EMBEDDINGS:
            self.add_module(name, nn.Embedding(*tensors[name].shape))
        for weight in _MATRICES:
            self.add_module(weight, nn.Linear(*tensors[weight].shape[::-1]))
        self.load_state_dict(
            {_phonemes_name(name): torch.from_numpy(np.array(value)) for name, value in tensors.items()}
        )

    def forward(self, batch: tuple[Tensor, list[int]]) -> Tensor:
        word, phonemes = batch
        h = torch.zeros(256)
        for letter in word:
            h = self._step(self.get_submodule("enc_emb")(letter), h, "enc")
        outputs = []
        for phoneme in phonemes[:-1]:
            h = self._step(self.get_submodule("dec_emb")(torch.tensor(phoneme)), h, "dec")
            outputs.append(torch.softmax(self.get_submodule("fc_w")(h), -1))
        return torch.stack(outputs)

    def _step(self, x: Tensor, h: Tensor, side: str) -> Tensor:
        from_input, from_state = (
            self.get_submodule(f"{side}_w_{part}")(v) for part, v in (("ih", x), ("hh", h))
        )
        return _gated(from_input, from_state, h)


def _phonemes_name(name: str) -> str:
    """Return the name of a tensor in `_Phonemes`."""
    if name in _EMBEDDINGS or name in _MATRICES:
        return f"{name}.weight"
    return f"{name.replace('_b', '_w')}.bias"


class _PhonemeNetwork:
    """Encoder and decoder, one GRU each, for one word at a time."""

    def __init__(self, words: list[str]) -> None:
        self.words = [
            [ord(letter) - ord("a") + _FIRST_LETTER for letter in word] + [_END_OF_WORD] for word in words
        ]

    def predict(self, tensors: Tensors) -> list[list[int]]:
        """Return the most probable phonemes of every word, from the start symbol to the end symbol."""
        t = _as_torch(tensors)
        result = []
        for word in self.words:
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
        for word, sequence in zip(self.words, phonemes, strict=True):
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
    from_input = t[f"{side}_w_ih"] @ x + t[f"{side}_b_ih"]
    from_state = t[f"{side}_w_hh"] @ h + t[f"{side}_b_hh"]
    return _gated(from_input, from_state, h)


def _gated(by_input: Tensor, by_state: Tensor, h: Tensor) -> Tensor:
    from_input, from_state = by_input.chunk(3), by_state.chunk(3)
    r = torch.sigmoid(from_input[0] + from_state[0])
    z = torch.sigmoid(from_input[1] + from_state[1])
    n = torch.tanh(from_input[2] + r * from_state[2])
    return (1 - z) * n + z * h
