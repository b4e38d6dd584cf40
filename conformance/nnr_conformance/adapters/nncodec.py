# SPDX-License-Identifier: Apache-2.0
"""Adapter of NNCodec, which runs in its own environment behind `nncodec_bridge`.

NNCodec has no error classes. Every exception counts as a rejection without a class; only the death of the process is a crash.
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
    """Decode a vector; several streams are incremental updates."""
    incremental = len(streams) > 1
    _bridge.reset("decode", history=incremental)
    answers = []
    with tempfile.TemporaryDirectory(prefix="nncodec.", dir=".") as folder:
        for number, stream in enumerate(streams):
            input_path, output = Path(folder, f"{number}.nnc"), Path(folder, f"{number}.npz")
            input_path.write_bytes(stream)
            try:
                _bridge.decode(str(input_path), str(output), incremental=incremental)
            except NotImplementedError as error:  # NNCodec's signal for a missing feature
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
    # NNCodec lists the floats of raw tensors among the levels; keep integer arrays only.
    answer.levels = {
        name: levels
        for name, levels in answer.levels.items()
        if name in answer.values and levels.dtype.kind == "i"
    }
    return answer
