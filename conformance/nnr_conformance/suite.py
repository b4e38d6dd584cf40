# SPDX-License-Identifier: Apache-2.0
"""Suites on disk: a manifest and its files."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnr_conformance.errors import SuiteError, UsageError
from nnr_conformance.expectation import SuiteFile
from nnr_conformance.json_schema import from_json, load_json, read_json, save_json
from nnr_conformance.manifest import Manifest
from nnr_conformance.vector import Vector


@dataclass(frozen=True)
class Suite:
    """Loaded manifest with its folder.

    Parameters
    ----------
    folder : Path
        Folder of ``manifest.json``; every file of the manifest is below it.
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def load(cls, folder: Path) -> Suite:
        """Read ``folder/manifest.json``; raises `SchemaError` if it departs from the schema."""
        return cls(folder.resolve(), load_json(Manifest, folder / "manifest.json"))

    def save(self) -> None:
        """Write the manifest; the caller writes the files of the vectors."""
        save_json(self.manifest, self.folder / "manifest.json")

    @property
    def name(self) -> str:
        """Name of the suite."""
        return self.manifest.suite

    def manifest_sha256(self) -> str:
        """SHA-256 of the manifest, which identifies the suite in reports."""
        return hashlib.sha256((self.folder / "manifest.json").read_bytes()).hexdigest()

    def path(self, file: SuiteFile) -> Path:
        """Path of a file."""
        return self.folder / file.file

    def read(self, file: SuiteFile) -> bytes:
        """Read a file; raises `SuiteError` if its size or SHA-256 differs from the manifest."""
        path = self.path(file)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SuiteError(f"{self.name}: {error}") from error
        if len(content) != file.size_bytes or hashlib.sha256(content).hexdigest() != file.sha256:
            raise SuiteError(f"{path}: not the file that the manifest describes (SHA-256 or size differs)")
        return content


def suite_file(path: Path, folder: Path) -> SuiteFile:
    """Create the manifest entry of a file."""
    content = path.read_bytes()
    name = path.relative_to(folder).as_posix()
    return SuiteFile(file=name, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def files_of(vector: Vector) -> Iterator[SuiteFile]:
    """Yield every file that a vector names."""
    yield from vector.streams
    yield from vector.expect.traces or ()
    yield from vector.expect.bins or ()
    if vector.expect.arrays is not None:
        yield vector.expect.arrays


VECTORS_PACKAGE = "nnr_conformance_vectors"
"""Package of data that holds the suites for users without the source tree."""


def default_suites_folder() -> Path:
    """Folder of the suites when the caller names none.

    It is ``$NNR_SUITES``, else ``conformance/suites`` of the working folder, else that of the installed package of vectors.
    """
    if named := os.environ.get("NNR_SUITES"):
        return Path(named)
    clone = Path("conformance", "suites")
    package = None if clone.is_dir() else importlib.util.find_spec(VECTORS_PACKAGE)
    if package is None or package.origin is None:
        return clone
    return Path(package.origin).parent / "suites"


def find_vector(identity: str, folder: Path | None = None) -> tuple[Suite, Vector]:
    """Load one vector, without the others of its suite, which would take seconds.

    Raises
    ------
    UsageError
        If no suite has the vector.
    """
    for path in _suite_folders(folder):
        manifest = read_json(path / "manifest.json")
        listed = manifest.get("vectors", ()) if isinstance(manifest, dict) else ()
        entries = [entry for entry in listed if isinstance(entry, dict) and entry.get("id") == identity]
        if entries:
            loaded = from_json(Manifest, {**manifest, "vectors": entries}, str(path / "manifest.json"))
            return Suite(path.resolve(), loaded), loaded.vectors[0]
    raise UsageError(f"no vector {identity!r}")


def _suite_folders(folder: Path | None) -> list[Path]:
    root = default_suites_folder() if folder is None else folder
    if (root / "manifest.json").is_file():
        return [root]
    folders = sorted(path.parent for path in root.glob("*/manifest.json"))
    if not folders:
        hint = (
            f"; `pip install 'nnr_codec[conformance]'` installs the suites ({VECTORS_PACKAGE}). Or run from the root of the "
            "source tree, or name the folder of an unpacked archive with --suites DIR or NNR_SUITES"
        )
        raise UsageError(f"no suite in {root}{hint if folder is None else ''}")
    return folders


def find_suites(folder: Path | None = None, names: tuple[str, ...] = ()) -> list[Suite]:
    """Load the suites below a folder, or the suite in it, sorted by name.

    Raises
    ------
    UsageError
        If there is no suite, or a named suite is missing.
    """
    suites = [Suite.load(path) for path in _suite_folders(folder)]
    known = {suite.name for suite in suites}
    if missing := [name for name in names if name not in known]:
        raise UsageError(f"no suite named {', '.join(missing)}; known: {', '.join(sorted(known))}")
    return [suite for suite in suites if not names or suite.name in names]
