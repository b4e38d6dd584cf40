# SPDX-License-Identifier: Apache-2.0
"""Builds of libnnr alone, without Python's headers: the library, nnrdec and the amalgamation."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.codegen.amalgamation import write

ROOT = Path(__file__).resolve().parents[1]
#: Definitions of each build that is more than the default.
VARIANTS = {
    "libnnr": ("-DNNR_INSTALL=ON",),
    "libnnr-tests": (
        "-DBUILD_SHARED_LIBS=ON",
        "-DNNR_BUILD_EXAMPLES=ON",
        "-DNNR_BUILD_LIBRARY_TESTS=ON",
        "-DNNR_INSTALL=ON",
    ),
    "libnnr-bench": ("-DNNR_BUILD_LIBRARY_BENCH=ON",),
    "libnnr-fuzz": ("-DCMAKE_CXX_COMPILER=clang++", "-DNNR_BUILD_LIBRARY_FUZZERS=ON"),
    "libnnr-small": ("-DCMAKE_BUILD_TYPE=MinSizeRel", "-DNNR_SMALL=ON"),
    "libnnr-sanitize": (
        "-DCMAKE_BUILD_TYPE=Debug",
        "-DCMAKE_CXX_FLAGS=-O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer",
    ),
}


def tool(name: str) -> str | None:
    """Return a program beside this Python, or on the path."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def build(variant: str = "libnnr", *, quiet: bool = False) -> Path:
    """Configure and compile a variant; only what changed is compiled anew.

    Parameters
    ----------
    variant : str
        A key of `VARIANTS`.
    quiet : bool
        Show the compiler's output only when it fails.

    Returns
    -------
    Path
        The build folder, ``build/VARIANT``.

    Raises
    ------
    subprocess.CalledProcessError
        CMake or the compiler fails.
    """
    cmake, ninja = tool("cmake"), tool("ninja")
    if cmake is None:
        raise FileNotFoundError("cmake")
    out = ROOT / "build" / variant
    generator = [] if ninja is None else ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    source = ROOT / "native/cmake/libnnr"
    for command in (
        [cmake, "-S", str(source), "-B", str(out), *generator, *VARIANTS[variant]],
        [cmake, "--build", str(out), "--parallel", str(os.cpu_count() or 1)],
    ):
        result = subprocess.run(
            command, check=False, capture_output=quiet, text=True, env={**os.environ, "CLICOLOR": "0"}
        )
        if result.returncode != 0:
            raise subprocess.CalledProcessError(result.returncode, command, result.stdout, result.stderr)
    return out


def compile_amalgamation(folder: Path) -> Path:
    """Write the amalgamation into a folder, compile it alone, and link nnrdec with it, unless that is done.

    Returns
    -------
    Path
        The program.
    """
    write(folder)
    compiler = os.environ.get("CXX", "c++")
    program = folder / "nnrdec"
    sources = [folder / "nnr.cpp", *sorted((ROOT / "native/programs").glob("*.cpp"))]
    flags = ["-std=c++20", "-O2", "-ffp-contract=off", "-fno-exceptions", "-fno-rtti", f"-I{folder}"]
    command = [compiler, *flags, *map(str, sources), "-o", str(program), "-lz"]
    state = hashlib.sha256(repr(command).encode())
    for path in [*sources, *(ROOT / "native/programs").glob("*.hpp"), folder / "nnr.h"]:
        state.update(path.read_bytes())
    stamp = folder / "compiled"
    if program.exists() and stamp.exists() and stamp.read_text() == state.hexdigest():
        return program
    subprocess.run(command, check=True)
    stamp.write_text(state.hexdigest())
    return program


def main(arguments: list[str]) -> int:
    """Build the library, nnrdec and the amalgamation; or the variants named."""
    for variant in arguments or ["libnnr"]:
        print(build(variant))
    if not arguments:
        print(compile_amalgamation(ROOT / "build/amalgamation"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
