# SPDX-License-Identifier: Apache-2.0
"""Steps that the tests of reported cases share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnr_codec.cli import main


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def there_and_back(path: str, back: str, *options: str) -> None:
    """Encode a model file with the command line and decode the stream again."""
    assert main(["encode", path, "stream.nnr", "-f", "-q", *options]) == 0
    Path(back).parent.mkdir(parents=True, exist_ok=True)
    assert main(["decode", "stream.nnr", back, "-f", "-q"]) == 0
