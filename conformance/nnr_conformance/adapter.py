# SPDX-License-Identifier: Apache-2.0
"""Adapters: JSON descriptions of decoders under test."""

from __future__ import annotations

import importlib.util
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nnr_conformance.decoders import Claims, CommandDecoder, Decoder, JsonlDecoder
from nnr_conformance.errors import UsageError
from nnr_conformance.features import FEATURES
from nnr_conformance.json_schema import json_field, load_json
from nnr_conformance.output import EXTENSIONS
from nnr_conformance.python_child import launch


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """Access to a decoder under test."""

    format: Literal["nnr-conformance-adapter/1"] = json_field(
        "Name and version of the file format.", default="nnr-conformance-adapter/1"
    )
    name: str = json_field("Name of the decoder in reports.", pattern=r"\S")
    version: str = json_field("Version of the decoder; a handshake may report it instead.", default="")
    kind: Literal["command", "jsonl", "python"] = json_field("Kind of interface.")
    command: tuple[str, ...] = json_field(
        "command: arguments with {input} {output}, or {inputs} {outputs} or {output_dir}; "
        "jsonl: the child's arguments.",
        default=(),
    )
    callable: str = json_field("python: `package.module:function` or `file.py:function`.", default="")
    arguments: tuple[str, ...] = json_field(
        "python: arguments of a factory; with any, the callable is called with them and returns the decode function.",
        default=(),
    )
    python: str = json_field(
        "python: the interpreter that has the decoder, 3.10 or later, with NumPy.", default=""
    )
    output: Literal["npz", "safetensors", "hashes"] = json_field(
        "Output format; sets the extension of output files.", default="npz"
    )
    environment: dict[str, str] = json_field("Environment variables to set.", default=None)
    files: tuple[str, ...] = json_field(
        "Files and folders that identify the decoder in certificates, beyond those of the command: its libraries.",
        default=(),
    )
    profiles: tuple[int, ...] = json_field(
        "Claimed profiles (general_profile_idc).", default=(0, 1), minimum=0
    )
    without: tuple[str, ...] = json_field(
        "Registered features that the decoder does not claim.", default=(), choices=tuple(FEATURES)
    )

    def build(self) -> Decoder:
        """Create the decoder without starting it."""
        claims = Claims(name=self.name, version=self.version, profiles=self.profiles, without=self.without)
        environment = self.environment or {}
        if self.kind == "command":
            return CommandDecoder(self.command, claims, environment)
        if self.kind == "jsonl":
            return JsonlDecoder(self.command, claims, environment)
        argv = launch(
            "nnr_conformance.python_child", self.callable, *self.arguments, python=self.python or None
        )
        file, _, _ = self.callable.rpartition(":")
        if file.endswith(".py"):
            # Modules beside the file are importable, as they are when Python runs the file itself.
            environment = {**_with_search_path(Path(file).parent.absolute()), **environment}
        return JsonlDecoder(argv, claims, environment)

    @property
    def extension(self) -> str:
        """File extension of the output, with its dot."""
        return EXTENSIONS[self.output]


def _nncodec() -> Adapter:
    root = Path(os.environ.get("NNR_PEER_VENV") or ".venv-peer").absolute()
    python = root / "bin" / "python"
    if not python.exists():
        hint = "`python -m conformance.peers.environment` makes it; NNR_PEER_VENV names another folder"
        raise UsageError(f"nncodec: no environment in {root}; {hint}")
    return Adapter(
        name="nncodec", kind="python", callable="nnr_conformance.adapters.nncodec:decode", python=str(python)
    )


def _native() -> Adapter:
    package, module = (importlib.util.find_spec(name) for name in ("nnr_codec", "nnr_codec._native"))
    origins = [
        Path(spec.origin) for spec in (package, module) if spec is not None and spec.origin is not None
    ]
    files = [str(origin.parent if origin.name == "__init__.py" else origin) for origin in origins]
    return Adapter(
        name="native", kind="python", callable="nnr_conformance.adapters.native:decode", files=tuple(files)
    )


def _model() -> Adapter:
    # spec/ belongs to the source tree and not to the wheel.
    if not Path("spec", "model").is_dir():
        raise UsageError(
            "model: no folder spec/model here. The model of the specification is part of the source tree and of no package: "
            "clone the repository and run from its root, or pass another decoder"
        )
    return Adapter(
        name="model",
        kind="python",
        callable="nnr_conformance.adapters.model:decode",
        files=("spec/model",),
        environment=_with_search_path(Path.cwd()),
    )


def _with_search_path(folder: Path) -> dict[str, str]:
    """Environment in which Python finds the modules of a folder first."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}


SHIPPED: dict[str, Callable[[], Adapter]] = {"native": _native, "model": _model, "nncodec": _nncodec}
"""Adapters with a fixed name; ``broken:FAULT`` and ``broken:FAULT@BASE`` are resolved separately."""


def resolve_adapter(spec: str) -> Adapter:
    """Resolve the argument of ``--decoder`` to an adapter.

    Parameters
    ----------
    spec : str
        A shipped name; ``broken:FAULT``; a path to an adapter file; ``cmd:``, ``jsonl:`` or ``python:``
        followed by a command line or a callable.

    Raises
    ------
    UsageError
        If the specification names no adapter, or the adapter's decoder is not installed.
    """
    head, colon, rest = spec.partition(":")
    if spec in SHIPPED:
        return SHIPPED[spec]()
    if head == "broken" and colon:
        return _broken(rest)
    if head == "cmd" and colon:
        return Adapter(name=_program(rest), kind="command", command=tuple(shlex.split(rest)))
    if head == "jsonl" and colon:
        return Adapter(name=_program(rest), kind="jsonl", command=tuple(shlex.split(rest)))
    if head == "python" and colon:
        return Adapter(name=Path(rest).name, kind="python", callable=_absolute(rest, Path.cwd()))
    path = Path(spec)
    if path.is_file():
        return load_adapter(path)
    known = ", ".join([*SHIPPED, "broken:FAULT", "cmd:COMMAND", "jsonl:COMMAND", "python:MODULE:FUNCTION"])
    raise UsageError(f"no decoder {spec!r}; it is a path to an adapter file, or one of {known}")


def load_adapter(path: Path) -> Adapter:
    """Read an adapter file; paths that begin with ``./`` are relative to its folder."""
    adapter = load_json(Adapter, path)
    folder = path.resolve().parent
    command = tuple(str(folder / part) if part.startswith("./") else part for part in adapter.command)
    if adapter.kind == "python" and not adapter.callable:
        raise UsageError(f"{path}: kind python needs `callable`")
    if adapter.kind != "python" and not command:
        raise UsageError(f"{path}: kind {adapter.kind} needs `command`")
    files = tuple(str(folder / name) for name in adapter.files)
    return replace(adapter, command=command, callable=_absolute(adapter.callable, folder), files=files)


def _broken(spec: str) -> Adapter:
    fault, _, base = spec.partition("@")
    return Adapter(
        name=f"broken:{spec}",
        kind="python",
        callable="nnr_conformance.adapters.broken:break_decoder",
        arguments=(fault, base or "native"),
    )


def _program(command: str) -> str:
    words = shlex.split(command)
    if not words:
        raise UsageError("an empty command")
    return Path(words[0]).name


def _absolute(callable_spec: str, folder: Path) -> str:
    place, _, name = callable_spec.rpartition(":")
    return f"{folder / place}:{name}" if place.endswith(".py") else callable_spec
