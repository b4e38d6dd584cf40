# SPDX-License-Identifier: Apache-2.0
"""NNCodec under test, in its own environment, through `nncodec_bridge`.

It has no error classes: whatever it raises is a rejection without a class, and only its death is a crash.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from nnr_conformance.adapters.nncodec_bridge import Bridge
from nnr_conformance.answer import Answer, Rejected, Unsupported
from nnr_conformance.arrays import load_arrays

CLAIMS = {"name": "nncodec", "version": "2.1.3"}


_bridge = Bridge()


def decode(streams: Sequence[bytes]) -> list[Answer]:
    """Decode a vector; its streams are updates of each other when there are several."""
    incremental = len(streams) > 1
    _bridge.reset("decode", history=incremental)
    answers = []
    with tempfile.TemporaryDirectory(prefix="nncodec.", dir=".") as folder:
        for number, stream in enumerate(streams):
            source, output = Path(folder, f"{number}.nnc"), Path(folder, f"{number}.npz")
            source.write_bytes(stream)
            try:
                _bridge.decode(str(source), str(output), incremental=incremental)
            except NotImplementedError as error:  # so NNCodec says that it does not do something
                raise Unsupported(str(error)) from error
            except (MemoryError, KeyboardInterrupt):
                raise
            except Exception as error:
                raise Rejected(f"{type(error).__name__}: {error}", stream=number) from error
            answers.append(_answer(output))
    return answers


def _answer(output: Path) -> Answer:
    answer = Answer()
    for key, array in load_arrays(output).items():
        kind, _, name = key.partition(":")
        if kind == "value":
            answer.values[name] = array
        elif kind == "level":
            answer.levels[name] = array
    # It tells levels for what it has quantised, and a raw tensor's floats as such; a layer is shown whole or not at all.
    answer.levels = {
        name: levels
        for name, levels in answer.levels.items()
        if name in answer.values and levels.dtype.kind == "i"
    }
    return answer
