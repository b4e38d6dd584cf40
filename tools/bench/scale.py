# SPDX-License-Identifier: Apache-2.0
"""Benchmark of large models: peak memory and throughput of the commands, access to one tensor, and start-up.

    python -m tools.bench.scale [--weights 1e9] [--threads 2] [--effort fast] [--units 100000] [--dense] [--dtype BF16]
                                [--before PYTHON]

Every measurement runs in its own process, whose peak resident memory the system reports. Start-up is the minimum
processor time of many runs, because other load only adds time. The last line of every part states the target.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnr_codec.frameworks import open_model, save_model

TARGET_MB = 600
#: Layers of a transformer block of width 2048; a feed-forward layer has 16.8 million weights.
WIDTH = 2048
LAYERS = {
    "attention.q": (WIDTH, WIDTH),
    "attention.k": (WIDTH // 4, WIDTH),
    "attention.v": (WIDTH // 4, WIDTH),
    "attention.out": (WIDTH, WIDTH),
    "feed_forward.up": (4 * WIDTH, WIDTH),
    "feed_forward.down": (WIDTH, 4 * WIDTH),
    "norm": (WIDTH,),
}
#: Commands whose start-up is measured.
STARTS = {
    "python -c pass": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import nnr_codec": ["-c", "import nnr_codec"],
    "import nnr_codec; nnr_codec.decode": ["-c", "import nnr_codec; nnr_codec.decode"],
    "nnr --help": ["-m", "nnr_codec.cli", "--help"],
}


@dataclass(frozen=True)
class Run:
    """Cost of a process."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


# A separate process: the peak of a child includes the memory of its parent, and this process holds whole tensors.
_LAUNCHER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
cpu = usage.ru_utime + usage.ru_stime
print(json.dumps([process.returncode, time.perf_counter() - started, cpu, usage.ru_maxrss]))
"""


def measured(
    arguments: list[str],
    *,
    env: dict[str, str] | None = None,
    python: str | Path = sys.executable,
    folder: Path | None = None,
) -> Run:
    """Run a Python, by default this one, with arguments in a folder and measure the process."""
    command = [python, "-S", "-c", _LAUNCHER, *arguments]
    code, seconds, cpu, peak = json.loads(
        subprocess.run(command, env=env, cwd=folder, capture_output=True, check=True).stdout
    )
    if code != 0:
        raise SystemExit(f"exit code {code}: {arguments}")
    # Kilobytes of 1024 bytes, except on macOS.
    return Run(seconds, cpu, peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6)


def shapes(n_weights: int) -> dict[str, tuple[int, ...]]:
    """List the tensors of enough blocks for ``n_weights`` weights."""
    listed: dict[str, tuple[int, ...]] = {}
    block = 0
    while sum(map(np.prod, listed.values())) < n_weights:
        listed |= {f"blocks.{block}.{name}.weight": shape for name, shape in LAYERS.items()}
        block += 1
    return listed


def tensors(model: dict[str, tuple[int, ...]], dense: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Generate heavy-tailed weights, 60 % of them pruned unless they are dense."""
    rng = np.random.default_rng(7)
    for name, shape in model.items():
        weights = rng.standard_normal(shape, np.float32)
        weights *= np.float32(0.02) * np.abs(weights)
        if len(shape) > 1 and not dense:
            weights *= rng.random(shape, np.float32) > 0.6
        yield name, weights
        del weights


def large_model(folder: Path, options: argparse.Namespace) -> None:
    """Measure encoding and decoding of a model that is larger than the memory target."""
    model = shapes(int(options.weights))
    n_weights = sum(int(np.prod(shape)) for shape in model.values())
    original, restored = folder / "model.safetensors", folder / "back.safetensors"
    largest = max(map(np.prod, model.values()))
    generated = tensors(model, options.dense)
    save_model(original, generated, shapes=model, dtypes=dict.fromkeys(model, options.dtype), overwrite=True)
    print(
        f"\n## {original.stat().st_size / 1e9:.1f} GB, {len(model)} tensors, {n_weights / 1e6:.0f} M weights,"
    )
    print(f"   the largest of {largest / 1e6:.1f} M; {options.threads} threads, effort {options.effort}\n")
    print("| command | peak memory | wall s | core s | M weights a second | of one core |")
    print("|---|---|---|---|---|---|")
    builds: dict[str, str | Path] = {"": sys.executable}
    if options.before is not None:
        builds = {", before": options.before} | builds
    common = ["--threads", str(options.threads), "--quiet", "--force"]
    for suffix, python in builds.items():
        stream = folder / f"model{len(suffix)}.nnr"
        commands = {
            "encode": [str(original), str(stream), "--effort", options.effort, *common],
            "decode": [str(stream), str(restored), *common],
            "info": [str(stream)],
        }
        for name, arguments in commands.items():
            # An empty folder, because a package in the working folder precedes the installed one.
            with tempfile.TemporaryDirectory() as empty:
                command = ["-m", "nnr_codec.cli", name, *arguments]
                run = measured(command, python=python, folder=Path(empty))
            rates = f"{n_weights / run.seconds / 1e6:.1f} | {n_weights / run.cpu_seconds / 1e6:.1f}"
            print(
                f"| `nnr {name}`{suffix} | {run.peak_mb:.0f} MB | {run.seconds:.1f} | {run.cpu_seconds:.1f} "
                f"| {'|' if name == 'info' else rates} |",
                flush=True,
            )
    size = stream.stat().st_size
    print(f"\n{size / 1e6:.0f} MB of stream, {size * 8 / n_weights:.2f} bits per weight.", end=" ")
    print(f"Relative error {relative_error(original, restored):.2%}.")
    print(f"Target: at most {TARGET_MB} MB of peak memory per command.")
    for path in (original, restored):
        path.unlink()
    start_up(stream)


def relative_error(original: Path, restored: Path) -> float:
    """Relative root-mean-square error between two model files."""
    error = energy = 0.0
    with open_model(original) as a, open_model(restored) as b:
        for name in a:
            x, y = a[name].ravel(), b[name].ravel()
            error += float(np.dot(x - y, x - y))
            energy += float(np.dot(x, x))
    return float((error / energy) ** 0.5)


def one_of_many(folder: Path, n_units: int) -> None:
    """Measure access to one tensor of many, with and without index."""
    import nnr_codec

    path = folder / "many.nnr"
    weights = np.random.default_rng(1).laplace(0, 0.05, 64).astype(np.float32)
    with open(path, "wb") as file:
        nnr_codec.encode({f"layers.{i // 100}.part.{i % 100}": weights for i in range(n_units)}, file=file)
    name = f"layers.{n_units // 200}.part.7"
    without = minimum_seconds(lambda: nnr_codec.decode(path, names=[name]), 3)
    started = time.process_time()
    with open(f"{path}.idx", "wb") as file:
        nnr_codec.UnitIndex.write(path, file)
    building = time.process_time() - started
    with_index = minimum_seconds(lambda: nnr_codec.decode(path, names=[name]), 30)
    print(f"\n## One tensor of {n_units}\n")
    print(
        f"without an index {without * 1e3:.1f} ms, with it {with_index * 1e3:.2f} ms; it takes {building:.2f} s"
    )


def minimum_seconds(function: Callable[[], object], times: int) -> float:
    """Minimum processor time of several calls."""
    seconds = []
    for _ in range(times):
        started = time.process_time()
        function()
        seconds.append(time.process_time() - started)
    return min(seconds)


def start_up(stream: Path) -> None:
    """Measure start-up with cached compiled modules."""
    with tempfile.TemporaryDirectory() as cache:
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {
            "PYTHONPYCACHEPREFIX": cache
        }
        starts = STARTS | {
            f"nnr info, of {stream.stat().st_size / 1e6:.0f} MB": ["-m", "nnr_codec.cli", "info", str(stream)]
        }
        print(
            "\n## Start-up, milliseconds of processor time\n\n| | least of 15 | without Python |\n|---|---|---|"
        )
        interpreter_ms = 0.0
        for name, arguments in starts.items():
            taken = min(measured(arguments, env=env).cpu_seconds for _ in range(15)) * 1e3
            interpreter_ms = interpreter_ms or taken
            print(f"| `{name}` | {taken:.0f} | {taken - interpreter_ms:.0f} |")
    print("\nTarget: importing the package under 150 ms, `nnr info` of a large file under 200 ms.")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=float, default=1e9)
    parser.add_argument("--dtype", default="F32", help="type of the file's weights, such as BF16")
    parser.add_argument("--dense", action="store_true", help="prune no weights")
    parser.add_argument("--before", type=Path, help="interpreter of an environment with an earlier build")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--effort", default="fast", help="effort of the encoder")
    parser.add_argument("--units", type=int, default=100_000, help="units of one stream; 0 skips it")
    parser.add_argument(
        "--folder", type=Path, help="folder of the files; default: the temporary folder of the system"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.units:
            one_of_many(Path(folder), arguments.units)
        large_model(Path(folder), arguments)


if __name__ == "__main__":
    main()
