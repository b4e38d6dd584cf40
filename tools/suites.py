# SPDX-License-Identifier: Apache-2.0
"""Archive and wheel of the conformance suites: ``python -m tools.suites``, into ``build/suites``.

Both hold the same files and are reproducible: the same suites give the same bytes, whatever the folder, the user and
the date. The archive is for authors of decoders without Python. The wheel ``nnr_conformance_vectors`` holds data only;
the extra ``conformance`` of the codec names it, and the checker finds it when it is installed.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path

from nnr_conformance.errors import ConformanceError, SuiteError
from nnr_conformance.suite import VECTORS_PACKAGE, files_of, find_suites

ROOT = Path(__file__).resolve().parent.parent
#: Earliest date that a ZIP file can hold.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SUMS = "SHA256SUMS"
_METADATA = """Metadata-Version: 2.4
Name: {name}
Version: {version}
Summary: Conformance vectors for decoders of ISO/IEC 15938-17 (NNC/NNR)
License-Expression: Apache-2.0
License-File: LICENSE
Requires-Python: >=3.10

The conformance suites of nnr_codec {version}, as data: `pip install 'nnr_codec[conformance]'` installs the checker with
them, and `nnr conformance run` runs a decoder on them.
"""
_WHEEL = """Wheel-Version: 1.0
Generator: nnr_codec tools.suites
Root-Is-Purelib: true
Tag: py3-none-any
"""


def collect(folder: Path) -> tuple[str, dict[str, bytes]]:
    """Read the suites and what belongs to them.

    Parameters
    ----------
    folder : Path
        The folder ``conformance`` of the source tree.

    Returns
    -------
    (str, dict of str to bytes)
        Version of the suites, and the files by their paths in the archive. ``SHA256SUMS`` lists all others.

    Raises
    ------
    SuiteError
        If a file differs from its manifest, or the suites have several versions.
    """
    suites = find_suites(folder / "suites")
    versions = {suite.manifest.version for suite in suites}
    if len(versions) != 1:
        raise SuiteError(f"the suites have several versions: {', '.join(sorted(versions))}")
    version = versions.pop()
    files = {
        "LICENSE": (ROOT / "LICENSE").read_bytes(),
        "VERSION": f"{version}\n".encode(),
        "README.md": (folder / "README.md").read_bytes(),
    }
    for path in (*folder.glob("*.json"), *(folder / "schema").glob("*.json")):
        files[path.relative_to(folder).as_posix()] = path.read_bytes()
    for suite in suites:
        files[f"suites/{suite.name}/manifest.json"] = (suite.folder / "manifest.json").read_bytes()
        for vector in suite.manifest.vectors:
            for file in files_of(vector):
                files[f"suites/{suite.name}/{file.file}"] = suite.read(file)
    files = dict(sorted(files.items()))
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    return version, {_SUMS: sums.encode(), **files}


def archive_of(stem: str, files: dict[str, bytes]) -> bytes:
    """Pack files below the folder ``stem`` into a reproducible ``.tar.gz``."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{stem}/{name}")
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def wheel_of(version: str, files: dict[str, bytes]) -> bytes:
    """Pack files below the folder of the package into a reproducible wheel."""
    document = f'# SPDX-License-Identifier: Apache-2.0\n"""Conformance vectors, as data."""\n\n__version__ = "{version}"\n'
    info = f"{VECTORS_PACKAGE}-{version}.dist-info"
    contents = {f"{VECTORS_PACKAGE}/__init__.py": document.encode()}
    contents |= {f"{VECTORS_PACKAGE}/{name}": content for name, content in files.items()}
    contents[f"{info}/licenses/LICENSE"] = files["LICENSE"]
    contents[f"{info}/METADATA"] = _METADATA.format(name=VECTORS_PACKAGE, version=version).encode()
    contents[f"{info}/WHEEL"] = _WHEEL.encode()
    record = "".join(f"{name},{_record_hash(content)},{len(content)}\n" for name, content in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            # The same bytes on every system.
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, content)
    return packed.getvalue()


def _record_hash(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"


def write_packages(folder: Path, target: Path) -> list[Path]:
    """Write the archive, its SHA-256 and the wheel; returns their paths."""
    version, files = collect(folder)
    stem = f"nnr-conformance-suites-{version}"
    archive = archive_of(stem, files)
    packages = {
        f"{stem}.tar.gz": archive,
        f"{stem}.tar.gz.sha256": f"{hashlib.sha256(archive).hexdigest()}  {stem}.tar.gz\n".encode(),
        f"{VECTORS_PACKAGE}-{version}-py3-none-any.whl": wheel_of(version, files),
    }
    target.mkdir(parents=True, exist_ok=True)
    for name, content in packages.items():
        (target / name).write_bytes(content)
    return [target / name for name in packages]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build/suites", help="default: build/suites")
    options = parser.parse_args(arguments)
    try:
        paths = write_packages(ROOT / "conformance", options.out)
    except ConformanceError as error:
        print(f"suites: {error}", file=sys.stderr)
        return error.exit_code
    for path in paths:
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.stat().st_size:>9}  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
