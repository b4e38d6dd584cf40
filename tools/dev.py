#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Task runner of the project: `python3 tools/dev.py TASK...`, from a clean clone with Python and a C++ compiler.

It uses the active virtual environment, or else creates `.venv`. A task prints its commands. Arguments after `--` go to
the program of the last task: `tools/dev.py test -- -k safetensors`.
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IN_VENV = sys.prefix != sys.base_prefix
VENV = Path(sys.prefix) if IN_VENV else ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
BUILD_TOOLS = ["scikit-build-core>=0.11", "nanobind>=3", "cmake>=3.26", "ninja>=1.11"]
#: Folder of the C++ objects, kept between builds.
BUILD_DIR = "build/{wheel_tag}"
#: Two workers that take tests from each other: files differ too much in time to be the unit of distribution.
PARALLEL = ["-n", "2", "--dist", "worksteal"]
#: Compiler warnings are errors in development; a user's compiler may have others.
WERROR = ["--config-settings", "cmake.define.NNR_WERROR=ON"]
CHECKED = ["nnr_codec", "conformance", "spec", "tests", "tools"]


class TaskError(Exception):
    """Failed task; the message names the command."""


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
    """Create the environment and install the package, unless done for the current pyproject.toml."""
    stamp = VENV / f"nnr-setup-{extras or 'run'}"
    state = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == state:
        return
    if not PYTHON.exists():
        run(sys.executable, "-m", "venv", VENV)
    # Without isolation, so that a rebuild finds the same tools and compiles only what changed.
    run(PYTHON, "-m", "pip", "install", "--quiet", "--upgrade", "pip>=23.1", *BUILD_TOOLS)
    install(f".[{extras}]" if extras else ".", *(WERROR if extras else []))
    stamp.write_text(state)


def install(what: str, *options: str) -> None:
    pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "--quiet", "--no-build-isolation", *options]
    run(*pip, "--config-settings", f"build-dir={BUILD_DIR}", "--editable", what)


def setup(rest: list[str]) -> None:
    """Create .venv with everything for development."""
    make_environment("dev")
    del rest


def demo(rest: list[str]) -> None:
    """Create .venv for use only, and run `nnr demo`."""
    make_environment("")
    run(BIN / "nnr", "demo", *rest)


def build(rest: list[str]) -> None:
    """Compile the native module incrementally."""
    make_environment("dev")
    install(".", "--no-deps", *WERROR, *rest)


def format_(rest: list[str]) -> None:
    """Format and apply safe fixes."""
    make_environment("dev")
    run(BIN / "clang-format", "-i", *native_sources())
    run(BIN / "ruff", "format", *present(*CHECKED), *rest)
    run(BIN / "ruff", "check", "--fix", *present(*CHECKED), *rest)


def lint(rest: list[str]) -> None:
    """Run ruff, the import contracts, clang-format and clang-tidy."""
    make_environment("dev")
    run(BIN / "ruff", "format", "--check", *present(*CHECKED), *rest)
    run(BIN / "ruff", "check", *present(*CHECKED), *rest)
    run(BIN / "lint-imports", "--no-cache")
    run(BIN / "clang-format", "--dry-run", "-Werror", *native_sources())
    tidy()


def native_sources(*folders: str) -> list[Path]:
    """Return the C++ files of some folders of native/, or of all, but for generated ones."""
    roots = [ROOT / "native" / folder for folder in folders] or [ROOT / "native"]
    paths = (path for root in roots for path in root.rglob("*.[ch]pp") if path.parent.name != "generated")
    return sorted(path.relative_to(ROOT) for path in paths)


def tidy() -> None:
    """Run clang-tidy over the core, libnnr, the bindings and the tests, one process per processor."""
    folders = ("src", "syntax", "codec", "programs", "bindings", "tests")
    # The names of libnnr's C interface are those of C.
    sources = [
        path for path in native_sources(*folders) if path.suffix == ".cpp" and path.parent.name != "libnnr"
    ]
    command = [str(BIN / "clang-tidy"), "--quiet"]
    flags = ["--", "-std=c++20", "-Inative/include", "-Inative/syntax", "-Inative/codec", *python_includes()]
    print("$", shlex.join([*command, *(f"native/{folder}/*.cpp" for folder in folders)]), flush=True)

    def check_one(source: Path) -> subprocess.CompletedProcess[str]:
        words = [*command, str(source), *flags]
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        failures = [result for result in pool.map(check_one, sources) if result.returncode != 0]
    # The standard error of clang-tidy counts the warnings of system headers; it matters only without findings.
    for result in failures:
        print(result.stdout or result.stderr, file=sys.stderr)
    if failures:
        raise TaskError(f"clang-tidy: findings in {len(failures)} of {len(sources)} sources")


def python_includes() -> list[str]:
    """Return the compiler options that find the headers of Python and nanobind."""
    code = (
        "import nanobind, sysconfig; print(nanobind.include_dir(), sysconfig.get_path('include'), sep='\\n')"
    )
    result = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)
    return [f"-isystem{folder}" for folder in result.stdout.splitlines()]


def type_(rest: list[str]) -> None:
    """Run mypy --strict."""
    make_environment("dev")
    run(BIN / "mypy", *rest)


def stubs(rest: list[str]) -> None:
    """Regenerate the type stub of the native module."""
    make_environment("dev")
    stub = ROOT / "nnr_codec/_native.pyi"
    run(PYTHON, "-m", "nanobind.stubgen", "-q", "-m", "nnr_codec._native", "-o", stub, *rest)
    stub.write_text(f"# SPDX-License-Identifier: Apache-2.0\n{stub.read_text()}")


def peer(rest: list[str]) -> None:
    """Create the environment of NNCodec, which the differential tests use."""
    make_environment("dev")
    run(PYTHON, "-m", "conformance.peers.environment", *rest)


def test(rest: list[str]) -> None:
    """Run pytest on two processes; `-- -n 0` uses one, as benchmarks and debuggers need."""
    make_environment("dev")
    run(PYTHON, "-m", "pytest", *PARALLEL, *rest)


def compile_native(folder: str, *definitions: str, targets: tuple[str, ...] = ()) -> Path:
    """Configure and compile native/ without its Python module, or some targets of it."""
    make_environment("dev")
    cmake, out = BIN / "cmake", ROOT / "build" / folder
    options = [f"-DCMAKE_MAKE_PROGRAM={BIN / 'ninja'}", "-DNNR_BUILD_BINDINGS=OFF", "-DNNR_WERROR=ON"]
    run(cmake, "-S", "native", "-B", out, "-G", "Ninja", *options, *definitions)
    run(cmake, "--build", out, *(["--target", *targets] if targets else []))
    return out


def native_tests(folder: str, *definitions: str, rest: list[str]) -> None:
    """Build and run the C++ tests with assertions, over the core and over the portable core."""
    out = compile_native(folder, "-DCMAKE_BUILD_TYPE=Debug", "-DNNR_BUILD_TESTS=ON", *definitions)
    run(BIN / "ctest", "--test-dir", out, "--output-on-failure", "--no-tests=error", *rest)


def native(rest: list[str]) -> None:
    """Build and run the C++ tests, plain and with NNR_PORTABLE."""
    native_tests("native", rest=rest)


def sanitize(rest: list[str]) -> None:
    """The C++ tests under the address and undefined-behaviour sanitizers."""
    flags = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
    native_tests("sanitize", f"-DCMAKE_CXX_FLAGS={flags}", rest=rest)


def libnnr(rest: list[str]) -> None:
    """Build libnnr, nnrdec and the amalgamation into build/; `-- VARIANT...` for others (tools/libnnr.py)."""
    make_environment("dev")
    run(PYTHON, "-m", "tools.codegen", "--check")
    run(PYTHON, "-m", "tools.libnnr", *rest)


def emulate(rest: list[str]) -> None:
    """Run the conformance suites through libnnr for aarch64, ARM and s390x under QEMU, and for Windows under Wine."""
    make_environment("dev")
    run(PYTHON, "-m", "tools.emulation", *rest)


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
    out = compile_native("fuzz", *options, targets=targets)
    return ["--binaries", str(out)]


def fuzz(rest: list[str]) -> None:
    """Run the fuzzers: `-- TARGET... --seconds N`, by default every target for a minute (C++ ones need clang++)."""
    make_environment("dev")
    run(PYTHON, "-m", "tools.fuzz", *fuzzers(), *rest)


def damage(rest: list[str]) -> None:
    """Compare the generated parser with the syntax tables on all damaged units; `-- --every N` samples."""
    make_environment("dev")
    run(PYTHON, "-m", "tools.damage.units", *rest)


def bench(rest: list[str]) -> None:
    """Run the speed benchmark against NNCodec; `-- --help` for its options."""
    engine = compile_native("bench", "-DCMAKE_BUILD_TYPE=Release", "-DNNR_BUILD_BENCH=ON") / "engine_bench"
    run(PYTHON, "-m", "tools.bench.speed", "--engine", engine, *rest)


def curves(rest: list[str]) -> None:
    """Measure rate-distortion curves against the Shannon bound and NNCodec; `-- --help` for its options."""
    make_environment("dev")
    run(PYTHON, "-m", "tools.research.curves", *rest)


def suites(rest: list[str]) -> None:
    """Write the archive of the conformance suites and the wheel of their vectors into build/suites."""
    make_environment("dev")
    run(PYTHON, "-m", "tools.suites", *rest)


def docs(rest: list[str]) -> None:
    """Build the documentation site in build/site; a dead link or an undocumented public name fails it."""
    make_environment("dev")
    run(PYTHON, "-m", "tools.site", *rest, env={"NO_MKDOCS_2_WARNING": "1"})


def check(rest: list[str]) -> None:
    """Run all gates that a change must pass."""
    make_environment("dev")
    build([])
    lint([])
    type_([])
    native([])
    peer([])
    docs([])
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
    "native": native,
    "peer": peer,
    "sanitize": sanitize,
    "libnnr": libnnr,
    "emulate": emulate,
    "fuzz": fuzz,
    "damage": damage,
    "bench": bench,
    "curves": curves,
    "suites": suites,
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
    if sys.version_info < (3, 10):  # noqa: UP036 - this file starts on older versions too
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
