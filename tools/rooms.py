# SPDX-License-Identifier: Apache-2.0
"""Import graph of the package as a table: `python -m tools.rooms` prints rooms, files, lines, and the rooms that each imports."""

from __future__ import annotations

import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("nnr_codec", "nnr_conformance", "spec")
#: Rooms whose folders are rooms of their own.
NESTED = ("nnr_codec.codec", "nnr_codec.inspect", "nnr_codec.frameworks")


def room_of(module: str) -> str:
    """Return the room of a module: its folder, to the depth at which rooms are divided.

    >>> room_of("nnr_codec.codec.encode.encoder"), room_of("nnr_codec.cli"), room_of("nnr_codec.errors")
    ('nnr_codec.codec.encode', 'nnr_codec.cli', 'nnr_codec')
    """
    folders = module.split(".") if path_of(module).name == "__init__.py" else module.split(".")[:-1]
    return ".".join(folders[: 3 if ".".join(folders[:2]) in NESTED else 2])


def path_of(module: str) -> Path:
    """Return the file of a module."""
    stem = ROOT / ("conformance" if module.startswith("nnr_conformance") else "") / module.replace(".", "/")
    return stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")


def main() -> int:
    """Print the table and return 0."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    modules = sorted(module for module in graph.modules if path_of(module).exists())
    rooms: dict[str, list[str]] = {}
    for module in modules:
        rooms.setdefault(room_of(module), []).append(module)
    print("| room | files | lines | imports |\n|---|---|---|---|")
    for room, members in sorted(rooms.items()):
        imported = {
            room_of(other) for module in members for other in graph.find_modules_directly_imported_by(module)
        }
        lines = sum(len(path_of(module).read_text(encoding="utf-8").splitlines()) for module in members)
        others = ", ".join(sorted(name.removeprefix("nnr_codec.") for name in imported - {room, "nnr_codec"}))
        print(f"| {room} | {len(members)} | {lines} | {others} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
