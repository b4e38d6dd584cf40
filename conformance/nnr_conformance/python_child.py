# SPDX-License-Identifier: Apache-2.0
"""Child process that serves a Python callable over the JSON-lines protocol.

It runs in any Python >= 3.10 with NumPy, so that a decoder may live in another environment.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from nnr_conformance.answer import Answer
from nnr_conformance.arrays import save_arrays
from nnr_conformance.decode_function import DecodeFunction, observe_call
from nnr_conformance.json_schema import save_json, to_json
from nnr_conformance.observation import Status
from nnr_conformance.protocol import PROTOCOL

_LAUNCH = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("nnr_conformance", sys.argv[1])
package = importlib.util.module_from_spec(spec)
sys.modules["nnr_conformance"] = package
spec.loader.exec_module(package)
from importlib import import_module
sys.exit(import_module(sys.argv[2]).main(sys.argv[3:]))
"""


def launch(module: str, *arguments: str, python: str | None = None) -> list[str]:
    """Build the command that runs ``module.main`` of this package in a Python interpreter.

    The child loads the package by its path: a search path would expose all packages installed beside it to the
    foreign environment.
    """
    place = str(Path(__file__).with_name("__init__.py"))
    return [python or sys.executable, "-c", _LAUNCH, place, module, *arguments]


def load_function(spec: str) -> Callable[..., Any]:
    """Load ``package.module:function`` or ``path/to/file.py:function``."""
    place, _, name = spec.rpartition(":")
    module = _load_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    function: Callable[..., Any] = getattr(module, name)
    return function


def _load_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def save_answer(answer: Answer, path: Path) -> None:
    """Write the arrays, report and trace of an answer in the output format of the contract."""
    prefixed = {f"value:{name}": array for name, array in answer.values.items()}
    prefixed |= {f"level:{name}": array for name, array in answer.levels.items()}
    prefixed |= {f"bit:{name}": array for name, array in answer.bits.items()}
    prefixed |= {f"recomposition:{name}": array for name, array in answer.recompositions.items()}
    save_arrays(path, prefixed)
    if answer.report is not None:
        save_json(answer.report, path.with_name(path.name + ".json"))
    if answer.trace is not None:
        path.with_name(path.name + ".trace").write_text(answer.trace, encoding="utf-8")
    if answer.bins is not None:
        path.with_name(path.name + ".bins").write_text(answer.bins, encoding="utf-8")


def main(argv: Sequence[str]) -> int:
    """Serve ``SPEC [ARGUMENT ...]``; with arguments, SPEC names a factory of the decode function."""
    # Redirect the decoder's prints to stderr, away from the protocol's lines.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    function = load_function(argv[0])
    decode: DecodeFunction = function(*argv[1:]) if len(argv) > 1 else function
    claims = getattr(sys.modules[function.__module__], "CLAIMS", {})
    for line in sys.stdin:
        request = json.loads(line)
        if request["type"] == "hello":
            _reply(channel, {"type": "hello", "protocol": PROTOCOL, "name": argv[0], **claims})
        elif request["type"] == "decode":
            _reply(channel, {"id": request["id"], **_answer(decode, request)})
    return 0


def _answer(decode: DecodeFunction, request: dict[str, Any]) -> dict[str, Any]:
    seen = observe_call(
        decode, [Path(path).read_bytes() for path in request["inputs"]], request.get("dimensions")
    )
    if seen.status in (Status.DECODED, Status.REJECTED):
        for answer, path in zip(seen.answers, request["outputs"], strict=False):
            save_answer(answer, Path(path))
    if seen.status is Status.REJECTED:
        return {"type": "rejected", "error": to_json(seen.rejection)}
    if seen.status is Status.UNSUPPORTED:
        return {"type": "unsupported", "feature": seen.detail}
    if seen.status is not Status.DECODED:
        return {"type": "crashed", "at": seen.at, "detail": seen.detail}
    return {"type": "decoded"}


def _reply(channel: TextIO, message: dict[str, Any]) -> None:
    channel.write(json.dumps(message) + "\n")
    channel.flush()
