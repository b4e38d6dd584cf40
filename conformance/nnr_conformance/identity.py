# SPDX-License-Identifier: Apache-2.0
"""Identity of a decoder under test: its command and the SHA-256 of the files that the command names."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnr_conformance.adapter import Adapter
from nnr_conformance.errors import UsageError
from nnr_conformance.json_schema import json_field

_SHA256 = r"^[0-9a-f]{64}$"


@dataclass(frozen=True, kw_only=True)
class FileHash:
    """Hash of a file or folder of a decoder."""

    name: str = json_field("Name without its folder, so that no path of the machine is published.")
    sha256: str = json_field(
        "SHA-256 of the file; of a folder, of the lines `SHA256  PATH` of its files, sorted by path.",
        pattern=_SHA256,
    )


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Identity of a decoder."""

    kind: str = json_field("Kind of interface: command, jsonl or python.")
    command: tuple[str, ...] = json_field("Command or callable, without folders.")
    files: tuple[FileHash, ...] = json_field("Program, scripts, and the files that the adapter lists.")


def identify(adapter: Adapter) -> Identity:
    """Hash the files of a decoder. Words of its command that name no file are arguments.

    Raises
    ------
    UsageError
        If a file that the adapter lists is missing.
    """
    words = adapter.command or (adapter.callable, *adapter.arguments)
    paths: dict[Path, None] = {}
    for index, word in enumerate(words):
        path = _callable_file(word) if adapter.kind == "python" and index == 0 else _program(word, index == 0)
        if path is not None:
            paths[path] = None
    for name in adapter.files:
        if not Path(name).exists():
            raise UsageError(f"{name}, a file of the decoder, is not here")
        paths[Path(name)] = None
    return Identity(
        kind=adapter.kind,
        command=tuple(_without_folder(word) for word in words),
        files=tuple(FileHash(name=path.name, sha256=hash_path(path)) for path in paths),
    )


def hash_path(path: Path) -> str:
    """SHA-256 of a file, or of the list of the files of a folder. Compiled Python files do not count."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    lines = (f"{hash_path(file)}  {file.relative_to(path).as_posix()}\n" for file in _files(path))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _program(word: str, first: bool) -> Path | None:
    # Unlike `Path.is_file`, it admits words that are no paths at all, such as programs of a line.
    if os.path.isfile(word):
        return Path(word)
    program = shutil.which(word) if first else None
    return Path(program) if program is not None else None


def _callable_file(word: str) -> Path | None:
    place, _, _ = word.rpartition(":")
    if place.endswith(".py"):
        return Path(place)
    try:
        module = importlib.util.find_spec(place)
    except Exception:
        return None
    return Path(module.origin) if module is not None and module.origin is not None else None


def _without_folder(word: str) -> str:
    return Path(word).name if os.path.isabs(word) else word
