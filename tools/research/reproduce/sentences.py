# SPDX-License-Identifier: Apache-2.0
"""Texts for the sentence encoder: an evaluation set and a disjoint calibration set.

The evaluation set was written for this purpose. Calibration uses a hundred other sentences and the glosses and examples of
WordNet from a Debian package, which use 23 000 of the 30 522 tokens of the vocabulary.
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
    """Read the hundred sentences of the evaluation set."""
    return (_FOLDER / "evaluation.txt").read_text().splitlines()


@functools.cache
def glosses(cache: Path) -> tuple[str, ...]:
    """Read the glosses of WordNet with their examples, for counting tokens."""
    folder = unpacked_debian(_WORDNET_PACKAGE, cache) / "usr/share/wordnet"
    lines = [line for part in _PARTS for line in (folder / f"data.{part}").read_text("latin-1").splitlines()]
    # The leading lines of the licence begin with two blanks.
    return tuple(
        line.split("| ", 1)[1].strip() for line in lines if "| " in line and not line.startswith("  ")
    )


def example_texts(cache: Path, count: int, skip: int = 0) -> list[str]:
    """Example sentences of WordNet, in a fixed random order."""
    examples = {example for gloss in glosses(cache) for example in re.findall(r'"([^"]+)"', gloss)}
    ordered = sorted(example for example in examples if len(example.split()) >= _FEWEST_WORDS)
    random.Random(_ORDER_SEED).shuffle(ordered)
    return ordered[skip : skip + count]


def calibration_texts(cache: Path, n_examples: int = 900) -> list[str]:
    """Texts for computing importances; disjoint from the evaluation set."""
    return (_FOLDER / "calibration.txt").read_text().splitlines() + example_texts(cache, n_examples)


def probing_texts(cache: Path) -> list[str]:
    """Fifty texts outside both sets, for measuring the loss of single tensors."""
    return example_texts(cache, 50, skip=10000)
