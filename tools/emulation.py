# SPDX-License-Identifier: Apache-2.0
"""Conformance of libnnr on other machines: nnrdec cross-compiled by Zig, and run under QEMU's user mode or Wine.

    python -m tools.emulation                      # every machine, suites core and extended
    python -m tools.emulation s390x --suite core

Then a model of many data types is decoded there and here, and the files are compared, and the C++ tests run, which compare the
levels and codewords of every search with those of all other machines. For ``windows`` the programs are those of 64-bit Windows.

Each vector is compared bit for bit: levels, values, and the class, stage and bit of a rejection. The programs are linked
statically, with musl where the machine runs Linux, so that QEMU needs no system of the other machine. The compiler is the PyPI
package ``ziglang``; zlib's inflate is compiled from the sources in the source distribution of ``pyminizip``. Both are unpacked
into ``--cache`` and not installed. QEMU and Wine come from the system (Debian: ``qemu-user``; ``wine`` and ``wine64``). The exit
code is 1 if a machine does not conform.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnr_codec import encode
from tools import libnnr
from tools.codegen.amalgamation import write
from tools.packages import unpacked, unpacked_source

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Machine:
    """Zig's target, the program that runs the target's programs, and Debian's package of it."""

    target: str
    emulator: str
    package: str = "qemu-user"


MACHINES = {
    "aarch64": Machine("aarch64-linux-musl", "qemu-aarch64"),
    "arm": Machine("arm-linux-musleabihf", "qemu-arm"),
    "s390x": Machine("s390x-linux-musl", "qemu-s390x"),
    "windows": Machine("x86_64-windows-gnu", "wine", "wine wine64"),
}
SUITES = ("core", "extended")
_ZIG = "ziglang==0.17.1"
_ZLIB = "pyminizip==0.2.6"
_INFLATE = ("adler32", "crc32", "inffast", "inflate", "inftrees", "zutil")
_CXX = ("-std=c++20", "-O2", "-ffp-contract=off", "-fno-exceptions", "-fno-rtti")
#: Emulation is slower than the machines for which the bounds of vectors are made.
_TIME_SCALE = "20"


def cross_compile(machine: str, folder: Path, cache: Path) -> Path:
    """Compile the amalgamation and nnrdec for a machine.

    Parameters
    ----------
    machine : str
        A key of `MACHINES`.
    folder : Path
        Folder of sources and objects.
    cache : Path
        Folder of downloads.

    Returns
    -------
    Path
        The program, linked statically.

    Raises
    ------
    subprocess.CalledProcessError
        A download or a compiler fails.
    """
    compiler = unpacked(_ZIG, cache) / "ziglang/zig"
    compiler.chmod(0o755)
    zig = str(compiler)
    (zlib,) = unpacked_source(_ZLIB, cache).glob("zlib-*")
    write(folder)
    target = MACHINES[machine].target
    program, objects = folder / f"nnrdec-{machine}", []
    for name in _INFLATE:
        objects.append(str(folder / f"{name}-{machine}.o"))
        # zlib's definitions are in the style of K&R, which later versions of C lack.
        command = [zig, "cc", "-target", target, "-std=gnu11", "-w", "-O2", "-c"]
        subprocess.run([*command, str(zlib / f"{name}.c"), "-o", objects[-1]], check=True)
    sources = [folder / "nnr.cpp", *sorted((ROOT / "native/programs").glob("*.cpp"))]
    command = [zig, "c++", "-target", target, *_CXX, f"-I{folder}", f"-I{zlib}", *map(str, sources), *objects]
    subprocess.run([*command, "-static", "-o", str(program)], check=True)
    return program


def encodes_alike(machine: str, folder: Path, cache: Path) -> bool:
    """Compile and run the C++ tests of the core for a machine; True if all pass."""
    zig, target = str(unpacked(_ZIG, cache) / "ziglang/zig"), MACHINES[machine].target
    core = sorted((ROOT / "native/src").glob("*.cpp"))
    for test in sorted((ROOT / "native/tests").glob("*_test.cpp")):
        program = folder / f"{test.stem}-{machine}"
        command = [zig, "c++", "-target", target, "-std=c++20", "-O2", "-ffp-contract=off", "-static"]
        command += [f"-I{ROOT / 'native/include'}", *map(str, core), str(test), "-o", str(program)]
        subprocess.run(command, check=True)
        if subprocess.run([MACHINES[machine].emulator, str(program)], check=False).returncode != 0:
            return False
    return True


@contextmanager
def session(machine: str) -> Iterator[None]:
    """Hold the services of Wine, which would start and end with each program and count as its processes."""
    if MACHINES[machine].emulator != "wine":
        yield
        return
    with subprocess.Popen(
        ["wine", "cmd"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    ) as shell:
        try:
            yield
        finally:
            shell.terminate()


def conforms(machine: str, program: Path, suites: tuple[str, ...], jobs: int) -> bool:
    """Run suites through an emulated program, with a table on the terminal; True if every vector passes."""
    adapter = program.with_suffix(".json")
    command = [
        MACHINES[machine].emulator,
        str(program),
        "--levels",
        "--shape={shape}",
        "{inputs}",
        "--to",
        "{outputs}",
    ]
    contract = {"format": "nnr-conformance-adapter/1", "name": f"nnrdec on {machine}", "kind": "command"}
    adapter.write_text(json.dumps({**contract, "command": command, "output": "safetensors"}))
    options = [word for suite in suites for word in ("--suite", suite)]
    run = [sys.executable, "-m", "nnr_conformance", "run", "-q", "-j", str(jobs), "--time-scale", _TIME_SCALE]
    result = subprocess.run(
        [*run, "--decoder", str(adapter), *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "conformance"), str(ROOT)])},
        check=False,
    )
    return result.returncode == 0


def restores_types(machine: str, program: Path, native: Path) -> bool:
    """Decode a model of many types with an emulated program and with a native one; True if the files are the same."""
    rng = np.random.default_rng(1)
    values = rng.normal(0, 30, (40, 30)).astype(np.float32)
    tensors: dict[str, Any] = {
        name: np.abs(values).astype(name)
        for name in ("f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?")
    }
    tensors |= {
        "brain": values,
        "tiny": values,
        "tinier": values,
        "nan": np.where(values > 60, np.nan, values),
    }
    tensors |= {
        "scalar": np.array(7, np.int64),
        "exact": np.array([1e300]),
        "empty": np.zeros((0, 3), np.float16),
    }
    stream, *outputs = (program.with_suffix(suffix) for suffix in (".nnc", ".there", ".here"))
    types = {"brain": "BF16", "tiny": "F8_E4M3", "tinier": "F8_E5M2"}
    stream.write_bytes(bytes(encode(tensors, dtypes=types, raw_when_smaller=True)))
    commands = [MACHINES[machine].emulator, str(program)], [str(native)]
    for command, output in zip(commands, outputs, strict=True):
        subprocess.run([*command, str(stream), "--to", str(output)], check=True)
    return outputs[0].read_bytes() == outputs[1].read_bytes()


def _fault(machine: str, options: argparse.Namespace) -> str:
    """Return how a machine differs from this one; empty if it does not."""
    folder, cache = options.folder.resolve(), options.cache.resolve()
    program = cross_compile(machine, folder, cache)
    native = libnnr.build(quiet=True) / "nnrdec"
    if not restores_types(machine, program, native):
        return "the types of a model come back otherwise than here"
    if not encodes_alike(machine, folder, cache):
        return "the C++ tests fail"
    if not conforms(machine, program, tuple(options.suite or SUITES), options.jobs):
        return "vectors fail"
    return ""


def main() -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("machines", nargs="*", metavar="MACHINE", help=f"{', '.join(MACHINES)}; default: all")
    parser.add_argument("--suite", action="append", metavar="NAME", help="default: core and extended")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "emulation")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "packages")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="vectors run in parallel")
    options = parser.parse_args()
    machines = options.machines or list(MACHINES)
    if unknown := set(machines) - set(MACHINES):
        parser.error(f"unknown machine {', '.join(sorted(unknown))}")
    for machine in (MACHINES[name] for name in machines):
        if shutil.which(machine.emulator) is None:
            parser.error(f"{machine.emulator} is not here (Debian: {machine.package})")
    failed = []
    for name in machines:
        with session(name):
            if fault := _fault(name, options):
                print(f"{name}: {fault}")
                failed.append(name)
    print(f"conforming: {', '.join(name for name in machines if name not in failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
