# SPDX-License-Identifier: Apache-2.0
"""NNCodec under test, in its own environment, through the bridge that the repository keeps in tools/peer.

It has no error classes: whatever it raises is a rejection without a class, and only its death is a crash.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnr_conformance.answer import Answer, Rejected, Unsupported
from nnr_conformance.arrays import load_arrays

CLAIMS = {"name": "nncodec", "version": "2.1.3"}


def _load_bridge() -> Any:
    default = Path(__file__).resolve().parents[3] / "tools" / "peer" / "bridge.py"
    path = Path(os.environ.get("NNCODEC_BRIDGE", default))
    spec = importlib.util.spec_from_file_location("nncodec_bridge", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no bridge at {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Bridge()


_bridge = _load_bridge()


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
