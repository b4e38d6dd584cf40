# SPDX-License-Identifier: Apache-2.0
"""Texts for the sentence encoder: those it is calibrated on, and others it is judged by.

The judged set was written for this purpose. Calibration takes a hundred sentences written apart from it and the examples and
glosses of WordNet, which a Debian package carries: they use 23 000 of the vocabulary's 30 522 tokens.
"""

from __future__ import annotations

import functools
import random
import re
from pathlib import Path

from tools.packages import unpacked_debian

_FOLDER = Path(__file__).parent / "texts"
_WORDNET_PACKAGE = "wordnet-base"
_PARTS = ("noun", "verb", "adj", "adv")
_ORDER_SEED = 15938
# Shorter examples are phrases.
_FEWEST_WORDS = 8


def evaluation_texts() -> list[str]:
    """Return the hundred sentences that quality is measured on."""
    return (_FOLDER / "evaluation.txt").read_text().splitlines()


@functools.cache
def glosses(cache: Path) -> tuple[str, ...]:
    """Return WordNet's glosses, examples included, in its order; for how often tokens are used."""
    folder = unpacked_debian(_WORDNET_PACKAGE, cache) / "usr/share/wordnet"
    lines = [line for part in _PARTS for line in (folder / f"data.{part}").read_text("latin-1").splitlines()]
    # The licence's lines, which come first, begin with two blanks.
    return tuple(
        line.split("| ", 1)[1].strip() for line in lines if "| " in line and not line.startswith("  ")
    )


def example_texts(cache: Path, count: int, skip: int = 0) -> list[str]:
    """Return sentences that WordNet quotes to show a word in use, in a fixed random order."""
    found = {example for gloss in glosses(cache) for example in re.findall(r'"([^"]+)"', gloss)}
    ordered = sorted(example for example in found if len(example.split()) >= _FEWEST_WORDS)
    random.Random(_ORDER_SEED).shuffle(ordered)
    return ordered[skip : skip + count]


def calibration_texts(cache: Path, n_examples: int = 900) -> list[str]:
    """Return texts to compute importances from; none is in the judged set."""
    return (_FOLDER / "calibration.txt").read_text().splitlines() + example_texts(cache, n_examples)


def probing_texts(cache: Path) -> list[str]:
    """Return fifty texts that are neither judged nor calibrated on, for measuring what each tensor's error costs."""
    return example_texts(cache, 50, skip=10000)
