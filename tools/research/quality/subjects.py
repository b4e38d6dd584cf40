# SPDX-License-Identifier: Apache-2.0
"""Models of the measurement by name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from tools.research.quality.image_classifiers import lenet5, lenet300
from tools.research.quality.language import smollm2
from tools.research.quality.onnx_models import magika, rapidocr
from tools.research.quality.pitch import pitch
from tools.research.quality.recurrent import g2p, voice
from tools.research.quality.sentence import sentences
from tools.research.quality.subject import Subject

SUBJECTS: dict[str, Callable[[Path], Subject]] = {
    "lenet300": lenet300,
    "lenet5": lenet5,
    "voice": voice,
    "g2p": g2p,
    "magika": magika,
    "pitch": pitch,
    "rapidocr": rapidocr,
    "sentences": sentences,
    "smollm2": smollm2,
    "smollm2-layer": functools.partial(smollm2, layers=(15,)),
    "smollm2-part": functools.partial(smollm2, layers=(0, 10, 20, 29)),
    "smollm2-9": functools.partial(smollm2, windows_a_text=3),
}
