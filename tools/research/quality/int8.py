# SPDX-License-Identifier: Apache-2.0
"""Magika on files of known types: ONNX Runtime's dynamic int8 with brotli against a stream of ``nnr compress``.

Every row is a whole model, graph included. Files are those of /usr with a suffix that names one type; calibration and test files
differ. Accuracy is the share of test files whose most probable type is that of the suffix.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import brotli
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic

from nnr_codec import compress_file, decode_file
from tools.packages import unpacked
from tools.research.quality.onnx_models import file_ends

_TYPES = {
    ".c": "c", ".cpp": "cpp", ".css": "css", ".gif": "gif", ".go": "go", ".gz": "gzip", ".html": "html", ".java": "java",
    ".js": "javascript", ".json": "json", ".lua": "lua", ".md": "markdown", ".npy": "npy", ".pdf": "pdf", ".php": "php",
    ".pl": "perl", ".pm": "perl", ".png": "png", ".py": "python", ".pyc": "pythonbytecode", ".rb": "ruby", ".rs": "rust",
    ".rst": "rst", ".sh": "shell", ".so": "elf", ".sql": "sql", ".svg": "svg", ".tex": "latex", ".toml": "toml", ".ttf": "ttf",
    ".whl": "zip", ".xml": "xml", ".yaml": "yaml", ".zip": "zip",
}  # fmt: skip
_SMALLEST_FILE, _BATCH = 256, 16


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.research.quality.int8", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder of packages")
    parser.add_argument("--files", type=int, default=20, help="largest number of test files of a type")
    parser.add_argument("--divergences", nargs="+", type=float, default=[0.0003, 0.001])
    parser.add_argument("--seed", type=int, default=1, help="seed of the choice of files")
    options = parser.parse_args()
    (path,) = unpacked("magika==1.0.3", options.cache).glob("magika/models/*/model.onnx")
    labels = json.loads((path.parent / "config.min.json").read_text())["target_labels_space"]
    test, calibration = _files(options.files, options.seed)
    inputs = np.stack([file_ends(file.read_bytes()) for file, _ in test])
    answers = np.array([labels.index(label) for _, label in test])
    print(
        f"{len(test)} test files of {len(set(answers))} types\n\n| model | bytes | accuracy, % |\n|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for label, model, n_bytes in _models(path, folder, calibration, options.divergences):
            print(f"| {label} | {n_bytes} | {100 * _accuracy(model, inputs, answers):.2f} |", flush=True)


def _models(
    path: Path, folder: Path, calibration: list[Path], divergences: list[float]
) -> Iterator[tuple[str, Path, int]]:
    """Yield a label, a model file and a size for each row."""
    yield "float32, brotli", path, len(brotli.compress(path.read_bytes()))
    quantized = folder / "int8.onnx"
    for per_channel in (False, True):
        quantize_dynamic(path, quantized, per_channel=per_channel, weight_type=QuantType.QUInt8)
        label = f"dynamic int8{', a scale for each channel' if per_channel else ''}, brotli"
        yield label, quantized, len(brotli.compress(quantized.read_bytes()))
    np.save(folder / "inputs.npy", np.stack([file_ends(file.read_bytes()) for file in calibration]))
    for divergence in divergences:
        stream, decoded = folder / "model.nnr", folder / "decoded.onnx"
        for stale in (*folder.glob("*.journal"), stream, decoded):
            stale.unlink(missing_ok=True)
        compress_file(path, stream, inputs=folder / "inputs.npy", divergence=divergence, threads=1)
        decode_file(stream, decoded)
        yield f"nnr compress --inputs --divergence {divergence:g}", decoded, stream.stat().st_size


def _files(most: int, seed: int) -> tuple[list[tuple[Path, str]], list[Path]]:
    """Return test files with labels, and other files for calibration."""
    by_label: dict[str, list[Path]] = {}
    for file in sorted(Path("/usr").rglob("*")):
        label = _TYPES.get(file.suffix)
        if label is not None and file.is_file() and file.stat().st_size >= _SMALLEST_FILE:
            by_label.setdefault(label, []).append(file)
    generator = np.random.default_rng(seed)
    test, calibration = list[tuple[Path, str]](), list[Path]()
    for label, files in by_label.items():
        order = [files[i] for i in generator.permutation(len(files))]
        n_test = min(most, max(len(order) // 2, 1))
        test += [(file, label) for file in order[:n_test]]
        calibration += order[n_test : n_test + max(most // 4, 1)]
    return test, calibration


def _accuracy(path: Path, inputs: NDArray[np.int32], answers: NDArray[np.int64]) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    name = session.get_inputs()[0].name
    outputs = [
        session.run(None, {name: part})[0] for part in np.split(inputs, range(_BATCH, len(inputs), _BATCH))
    ]
    return float((np.concatenate(outputs).argmax(1) == answers).mean())


if __name__ == "__main__":
    main()
