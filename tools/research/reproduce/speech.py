# SPDX-License-Identifier: Apache-2.0
"""Recorded speech with noise, from Debian packages of telephone prompts.

Calibration and evaluation use different speakers and languages.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tools.packages import unpacked_debian

SAMPLE_RATE = 16000
_PACKAGE = "asterisk-core-sounds-{}-wav"
_SECONDS = 8
# Signal-to-noise ratios of successive clips, in decibels.
_RATIOS = (25.0, 15.0, 8.0, 3.0)

Clips = npt.NDArray[np.float32]


def evaluation_clips(cache: Path, count: int = 24) -> Clips:
    """Evaluation clips, a French and an Italian voice: float32[clips, samples]."""
    return np.concatenate([_clips("fr", count // 2, cache), _clips("it", count // 2, cache)])


def calibration_clips(cache: Path, count: int = 16) -> Clips:
    """Calibration clips, an English voice: float32[clips, samples]."""
    return _clips("en", count, cache)


def probing_clips(cache: Path, count: int = 8) -> Clips:
    """Clips for measuring the loss of single tensors, a Spanish voice: float32[clips, samples]."""
    return _clips("es", count, cache)


def _clips(language: str, count: int, cache: Path) -> Clips:
    generator = np.random.default_rng([15938, *language.encode()])
    root = unpacked_debian(_PACKAGE.format(language), cache)
    paths = [path for path in sorted(root.rglob("*.wav")) if "silence" not in path.parts]
    order = iter(generator.permutation(len(paths)))
    clips = np.zeros((count, _SECONDS * SAMPLE_RATE), np.float32)
    for number, clip in enumerate(clips):
        filled = 0
        while True:
            # Silence of 0.5 to 1.5 s before every prompt.
            start = filled + int(generator.integers(SAMPLE_RATE // 2, SAMPLE_RATE * 3 // 2))
            prompt = _at_16_khz(paths[next(order)])[: max(clip.size - start, 0)]
            if prompt.size < SAMPLE_RATE // 4:
                break
            clip[start : start + prompt.size] = prompt
            filled = start + prompt.size
        power = float(np.square(clip[clip != 0]).mean())
        noise = np.cumsum(generator.standard_normal(clip.size)) if number % 2 else None
        # Every second clip has low-frequency noise: a high-passed random walk.
        if noise is not None:
            noise = noise - np.convolve(noise, np.full(401, 1 / 401), "same")
        else:
            noise = generator.standard_normal(clip.size)
        decibels = _RATIOS[number // 2 % len(_RATIOS)]
        clip += (noise * np.sqrt(power / np.square(noise).mean() / 10 ** (decibels / 10))).astype(np.float32)
    return clips


def _at_16_khz(path: Path) -> npt.NDArray[np.float32]:
    with wave.open(str(path)) as recording:
        if (recording.getframerate(), recording.getsampwidth(), recording.getnchannels()) != (8000, 2, 1):
            raise ValueError(f"{path} is not mono at 8 kHz")
        samples = np.frombuffer(recording.readframes(recording.getnframes()), "<i2") / 32768.0
    # Upsample by two: zeros in the upper half of the spectrum.
    return (2 * np.fft.irfft(np.fft.rfft(samples), 2 * samples.size)).astype(np.float32)
