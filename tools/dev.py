#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The one task runner: `python3 tools/dev.py TASK...` from a clean clone, with Python and a C++ compiler.

Inside an active virtual environment it uses that one; otherwise it makes `.venv`. Each task prints what it
runs. Arguments after `--` go to the last task's program: `tools/dev.py test -- -k safetensors`.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IN_VENV = sys.prefix != sys.base_prefix
VENV = Path(sys.prefix) if IN_VENV else ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
BUILD_TOOLS = ["scikit-build-core>=0.11", "nanobind>=3", "cmake>=3.26", "ninja>=1.11"]
#: Where C++ objects stay between builds.
BUILD_DIR = "build/{wheel_tag}"
CHECKED = ["nnr_codec", "conformance", "spec", "tests", "tools"]


class TaskError(Exception):
    """A task failed; the message says which command."""


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    """Print a command and run it in the root folder."""
    words = [str(word) for word in command]
    print("\033[2m$\033[0m" if sys.stdout.isatty() else "$", shlex.join(words), flush=True)
    result = subprocess.run(words, cwd=ROOT, env={**os.environ, **(env or {})}, check=False)
    if result.returncode != 0:
        raise TaskError(f"exit code {result.returncode}: {shlex.join(words)}")


def present(*names: str) -> list[str]:
    """Keep the folders that exist."""
    return [name for name in names if (ROOT / name).exists()]


def make_environment(extras: str) -> None:
    """Make the environment and install the package into it, unless done for this very pyproject.toml."""
    stamp = VENV / f"nnr-setup-{extras or 'run'}"
    state = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == state:
        return
    if not PYTHON.exists():
        run(sys.executable, "-m", "venv", VENV)
    # Without isolation, so that a rebuild finds the same tools and compiles only what changed.
    run(PYTHON, "-m", "pip", "install", "--quiet", "--upgrade", "pip>=23.1", *BUILD_TOOLS)
    install(f".[{extras}]" if extras else ".")
    stamp.write_text(state)


def install(what: str, *options: str) -> None:
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--no-build-isolation", *options]
    run(*pip, "--config-settings", f"build-dir={BUILD_DIR}", "--editable", what)


def setup(rest: list[str]) -> None:
    """Make .venv with everything for development."""
    make_environment("dev")
    del rest


def demo(rest: list[str]) -> None:
    """Make .venv for use only and run `nnr demo`."""
    make_environment("")
    run(BIN / "nnr", "demo", *rest)


def build(rest: list[str]) -> None:
    """Compile the native module anew where its sources changed."""
    make_environment("dev")
    install(".", "--no-deps", *rest)


def format_(rest: list[str]) -> None:
    """Format and apply safe fixes."""
    make_environment("dev")
    run(BIN / "ruff", "format", *present(*CHECKED), *rest)
    run(BIN / "ruff", "check", "--fix", *present(*CHECKED), *rest)


def lint(rest: list[str]) -> None:
    """Run ruff and the import contracts."""
    make_environment("dev")
    run(BIN / "ruff", "format", "--check", *present(*CHECKED), *rest)
    run(BIN / "ruff", "check", *present(*CHECKED), *rest)
    run(BIN / "lint-imports", "--no-cache")


def type_(rest: list[str]) -> None:
    """Run mypy --strict."""
    make_environment("dev")
    run(BIN / "mypy", *rest)


def stubs(rest: list[str]) -> None:
    """Write the native module's type stub anew."""
    make_environment("dev")
    run(PYTHON, "-m", "nanobind.stubgen", "-m", "nnr_codec._native", "-o", "nnr_codec/_native.pyi", *rest)
    stub = ROOT / "nnr_codec/_native.pyi"
    stub.write_text(f"# SPDX-License-Identifier: Apache-2.0\n{stub.read_text()}")


def peer(rest: list[str]) -> None:
    """Make the environment with NNCodec that differential tests use."""
    make_environment("dev")
    run(PYTHON, "tools/peer/environment.py", *rest)


def test(rest: list[str]) -> None:
    """Run pytest."""
    make_environment("dev")
    run(PYTHON, "-m", "pytest", *rest)


def native(folder: str, *definitions: str, targets: tuple[str, ...] = ()) -> Path:
    """Configure and compile native/ by itself, or some targets of it."""
    make_environment("dev")
    cmake, out = BIN / "cmake", ROOT / "build" / folder
    tools = [f"-DCMAKE_MAKE_PROGRAM={BIN / 'ninja'}", f"-DPython_EXECUTABLE={PYTHON}"]
    run(cmake, "-S", "native", "-B", out, "-G", "Ninja", *tools, *definitions)
    run(cmake, "--build", out, *(["--target", *targets] if targets else []))
    return out


def sanitize(rest: list[str]) -> None:
    """The C++ tests under the address and undefined-behaviour sanitizers."""
    flags = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -Werror"
    out = native("sanitize", "-DCMAKE_BUILD_TYPE=Debug", "-DNNR_BUILD_TESTS=ON", f"-DCMAKE_CXX_FLAGS={flags}")
    run(BIN / "ctest", "--test-dir", out, "--output-on-failure", "--no-tests=error", *rest)


def libnnr(rest: list[str]) -> None:
    """Build libnnr, nnrdec and the amalgamation into build/; `-- VARIANT...` for others (tools/libnnr.py)."""
    make_environment("dev")
    run(PYTHON, "-m", "tools.codegen", "--check")
    run(PYTHON, "-m", "tools.libnnr", *rest)


def fuzzers() -> list[str]:
    """Build the C++ fuzzers where Clang can, and say which options find them."""
    source = 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }'
    probe = ["clang++", "-fsanitize=fuzzer,address,undefined", "-x", "c++", "-", "-o", os.devnull]
    if (
        shutil.which("clang++") is None
        or subprocess.run(probe, input=source.encode(), check=False).returncode
    ):
        print("no clang++ with libFuzzer here: the C++ fuzzers are not run")
        return []
    options = ["-DCMAKE_CXX_COMPILER=clang++", "-DCMAKE_BUILD_TYPE=Release", "-DNNR_BUILD_FUZZERS=ON"]
    targets = tuple(path.stem for path in sorted((ROOT / "native/fuzz").glob("fuzz_*.cpp")))
    out = native("fuzz", *options, targets=targets)
    return ["--binaries", str(out)]


def fuzz(rest: list[str]) -> None:
    """Fuzz: `-- TARGET... --seconds N`, by default every target for a minute (C++ ones need clang++)."""
    make_environment("dev")
    run(PYTHON, "-m", "tools.fuzz", *fuzzers(), *rest)


def bench(rest: list[str]) -> None:
    """Every figure of speed in one run, beside NNCodec and beside the limits; `-- --help` for its options."""
    engine = native("bench", "-DCMAKE_BUILD_TYPE=Release", "-DNNR_BUILD_BENCH=ON") / "engine_bench"
    run(PYTHON, "-m", "tools.bench.speed", "--engine", engine, *rest)


def curves(rest: list[str]) -> None:
    """Rate-distortion curves against the Shannon bound and NNCodec; `-- --help` for its options."""
    make_environment("dev")
    run(PYTHON, "-m", "tools.curves", *rest)


def docs(rest: list[str]) -> None:
    """Build the documentation site in build/site; a dead link or an undocumented public name fails it."""
    make_environment("dev")
    run(PYTHON, "-m", "tools.site", *rest, env={"NO_MKDOCS_2_WARNING": "1"})


def check(rest: list[str]) -> None:
    """Everything a change must pass."""
    make_environment("dev")
    build([])
    lint([])
    type_([])
    if (ROOT / "tools/peer/environment.py").exists():
        peer([])
    fuzz(["--seconds", "3"])
    test(["--benchmark-skip", *rest])


#: A new task is a function and a row.
TASKS: dict[str, Callable[[list[str]], None]] = {
    "demo": demo,
    "check": check,
    "setup": setup,
    "format": format_,
    "lint": lint,
    "type": type_,
    "build": build,
    "test": test,
    "stubs": stubs,
    "peer": peer,
    "sanitize": sanitize,
    "libnnr": libnnr,
    "fuzz": fuzz,
    "bench": bench,
    "curves": curves,
    "docs": docs,
}


def main(arguments: list[str]) -> int:
    names, rest = arguments, []
    if "--" in arguments:
        cut = arguments.index("--")
        names, rest = arguments[:cut], arguments[cut + 1 :]
    if not names or any(name not in TASKS for name in names):
        print((__doc__ or "").strip(), "\n\nTasks:")
        for name, task in TASKS.items():
            print(f"  {name:10}{task.__doc__}")
        return 0 if names in (["-h"], ["--help"], ["help"]) else 2
    if sys.version_info < (3, 10):  # noqa: UP036 - the package wants it, but this file starts on older ones
        print(f"Python 3.10 or newer is needed, this is {sys.version.split()[0]}", file=sys.stderr)
        return 1
    for name in names:
        started = time.monotonic()
        try:
            TASKS[name](rest if name == names[-1] else [])
        except TaskError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
        print(f"{name}: done in {time.monotonic() - started:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
