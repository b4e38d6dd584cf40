# SPDX-License-Identifier: Apache-2.0
"""Texts for the sentence encoder: those it is calibrated on, and others it is judged by.

The judged set was written for this purpose. Calibration takes a hundred sentences written apart from it and prose of
Python's own reference manual, which every interpreter carries.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

_FOLDER = Path(__file__).parent / "texts"
_MANUAL_SEED = 15938


def evaluation_texts() -> list[str]:
    """Return the hundred sentences that quality is measured on."""
    return (_FOLDER / "evaluation.txt").read_text().splitlines()


def manual_texts(count: int, skip: int = 0) -> list[str]:
    """Return sentences of the reference manual, in a fixed random order."""
    from pydoc_data.topics import topics

    found = set()
    for text in topics.values():
        for sentence in re.split(r"(?<=[.?!])\s+", re.sub(r"\s+", " ", text)):
            words = sentence.split()
            if 8 <= len(words) <= 40 and sum(word.isalpha() for word in words) > 0.7 * len(words):
                found.add(sentence)
    ordered = sorted(found)
    random.Random(_MANUAL_SEED).shuffle(ordered)
    return ordered[skip : skip + count]


def calibration_texts(n_manual: int = 300) -> list[str]:
    """Return texts to compute importances from; none is in the judged set."""
    return (_FOLDER / "calibration.txt").read_text().splitlines() + manual_texts(n_manual)
