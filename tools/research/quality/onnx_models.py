# SPDX-License-Identifier: Apache-2.0
"""Magika (types of files) and RapidOCR's recognition of text lines."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nnr_codec.frameworks import open_model
from nnr_codec.frameworks.onnx.calibration.model import RunnableOnnx
from tools.packages import unpacked
from tools.research.quality.onnx_network import OnnxNetwork
from tools.research.quality.subject import Calibration, Subject, mean_divergence
from tools.research.quality.texts import licence, licence_words

_MAGIKA_HALF = 1024
_MAGIKA_PADDING = 256
_N_FILES = 192
_N_LINES = 12
_WORDS_A_LINE = 4
_HEIGHT, _WIDTH = 48, 480
_FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSerif-Bold.ttf"
_OTHER_FONTS = tuple(
    f"/usr/share/fonts/truetype/dejavu/DejaVu{style}.ttf" for style in ("Sans", "SansMono", "Serif")
)
_N_CALIBRATION_FILES, _N_CALIBRATION_LINES = 96, 48


def magika(cache: Path) -> Subject:
    """Magika on the beginnings and ends of files in /usr."""
    (path,) = unpacked("magika==1.0.3", cache).glob("magika/models/*/model.onnx")
    network = OnnxNetwork(path)
    files = sorted(
        path
        for pattern in ("share/**/*", "lib/python3/**/*", "bin/*", "include/*")
        for path in Path("/usr").glob(pattern)
    )
    files = [path for path in files if path.is_file() and path.stat().st_size > 64]
    chosen = np.linspace(0, len(files) - 1, _N_FILES).astype(int)
    inputs: list[NDArray[np.generic]] = [np.stack([file_ends(files[i].read_bytes()) for i in chosen])]
    (reference,) = network.run(network.tensors, inputs)

    def samples(seed: int) -> NDArray[np.generic]:
        others = np.setdiff1d(np.arange(len(files)), chosen)
        picked = np.random.default_rng(seed).choice(others, _N_CALIBRATION_FILES, replace=False)
        return np.stack([file_ends(files[i].read_bytes()) for i in picked])

    return Subject(
        "magika", "mean KL", network.tensors,
        lambda decoded: mean_divergence(reference, network.run(decoded, inputs)[0]), (1e-4, 1e-3, 1e-2),
        calibration=lambda made, seed: _calibration(path, network, None if made else samples(seed), seed),
    )  # fmt: skip


def _calibration(
    path: Path, network: OnnxNetwork, inputs: NDArray[np.generic] | None, seed: int
) -> Calibration:
    """Calibrate an ONNX file by ``nnr compress``'s own means."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "inputs.npy"
        if inputs is not None:
            np.save(file, inputs)
        # The model file stays open as long as the calibration.
        model = RunnableOnnx(open_model(path), None if inputs is None else file, seed=seed)
    return Calibration(model, network.tensors)


def file_ends(content: bytes) -> NDArray[np.int32]:
    """Return the input of Magika for a file: its beginning and its end."""
    start = np.frombuffer(content[: 4 * _MAGIKA_HALF].lstrip()[:_MAGIKA_HALF], np.uint8)
    end = np.frombuffer(content[-4 * _MAGIKA_HALF :].rstrip()[-_MAGIKA_HALF:], np.uint8)
    features = np.full(2 * _MAGIKA_HALF, _MAGIKA_PADDING, np.int32)
    features[: start.size] = start
    features[2 * _MAGIKA_HALF - end.size :] = end
    return features


def rapidocr(cache: Path) -> Subject:
    """Recognition network of RapidOCR on rendered words."""
    folder = unpacked("rapidocr-onnxruntime==1.4.4", cache) / "rapidocr_onnxruntime" / "models"
    path = folder / "ch_PP-OCRv4_rec_infer.onnx"
    network = OnnxNetwork(path)
    words = licence_words()
    lines = [" ".join(words[i * _WORDS_A_LINE : (i + 1) * _WORDS_A_LINE]) for i in range(_N_LINES)]
    inputs: list[NDArray[np.generic]] = [np.stack([_rendered(line) for line in lines])]
    (reference,) = network.run(network.tensors, inputs)
    return Subject(
        "rapidocr", "mean KL", network.tensors,
        lambda decoded: mean_divergence(reference, network.run(decoded, inputs)[0]), (1e-3, 1e-2, 1e-1),
        calibration=lambda made, seed: _calibration(path, network, None if made else _lines(seed), seed),
    )  # fmt: skip


def _lines(seed: int) -> NDArray[np.float32]:
    """Render words of another licence in other fonts."""
    generator = np.random.default_rng(seed)
    words = re.findall(r"[A-Za-z]{5,}", licence("MPL-2.0"))
    return np.stack(
        [
            _rendered(" ".join(generator.choice(words, _WORDS_A_LINE)), _OTHER_FONTS[i % len(_OTHER_FONTS)])
            for i in range(_N_CALIBRATION_LINES)
        ]
    )


def _rendered(line: str, font: str = _FONT) -> NDArray[np.float32]:
    image = Image.new("RGB", (_WIDTH, _HEIGHT), (235, 235, 230))
    ImageDraw.Draw(image).text((6, 8), line, fill=(25, 25, 40), font=ImageFont.truetype(font, 24))
    planes: NDArray[np.float32] = np.asarray(image, np.float32).transpose(2, 0, 1) / np.float32(127.5) - 1
    return planes
