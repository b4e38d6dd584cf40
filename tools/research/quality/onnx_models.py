# SPDX-License-Identifier: Apache-2.0
"""Magika (types of files) and RapidOCR's recognition of text lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tools.packages import unpacked
from tools.research.quality.onnx_network import OnnxNetwork
from tools.research.quality.subject import Subject, mean_divergence
from tools.research.quality.texts import licence_words

_MAGIKA_HALF = 1024
_MAGIKA_PADDING = 256
_N_FILES = 192
_N_LINES = 12
_WORDS_A_LINE = 4
_HEIGHT, _WIDTH = 48, 480
_FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSerif-Bold.ttf"


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
    chosen = [files[i] for i in np.linspace(0, len(files) - 1, _N_FILES).astype(int)]
    inputs: list[NDArray[np.generic]] = [np.stack([_ends(path.read_bytes()) for path in chosen])]
    (reference,) = network.run(network.tensors, inputs)
    return Subject(
        "magika", "mean KL", network.tensors,
        lambda decoded: mean_divergence(reference, network.run(decoded, inputs)[0]), (1e-4, 1e-3, 1e-2),
    )  # fmt: skip


def _ends(content: bytes) -> NDArray[np.int32]:
    start = np.frombuffer(content[: 4 * _MAGIKA_HALF].lstrip()[:_MAGIKA_HALF], np.uint8)
    end = np.frombuffer(content[-4 * _MAGIKA_HALF :].rstrip()[-_MAGIKA_HALF:], np.uint8)
    features = np.full(2 * _MAGIKA_HALF, _MAGIKA_PADDING, np.int32)
    features[: start.size] = start
    features[2 * _MAGIKA_HALF - end.size :] = end
    return features


def rapidocr(cache: Path) -> Subject:
    """Recognition network of RapidOCR on rendered words."""
    folder = unpacked("rapidocr-onnxruntime==1.4.4", cache) / "rapidocr_onnxruntime" / "models"
    network = OnnxNetwork(folder / "ch_PP-OCRv4_rec_infer.onnx")
    words = licence_words()
    lines = [" ".join(words[i * _WORDS_A_LINE : (i + 1) * _WORDS_A_LINE]) for i in range(_N_LINES)]
    inputs: list[NDArray[np.generic]] = [np.stack([_rendered(line) for line in lines])]
    (reference,) = network.run(network.tensors, inputs)
    return Subject(
        "rapidocr", "mean KL", network.tensors,
        lambda decoded: mean_divergence(reference, network.run(decoded, inputs)[0]), (1e-3, 1e-2, 1e-1),
    )  # fmt: skip


def _rendered(line: str) -> NDArray[np.float32]:
    image = Image.new("RGB", (_WIDTH, _HEIGHT), (235, 235, 230))
    ImageDraw.Draw(image).text((6, 8), line, fill=(25, 25, 40), font=ImageFont.truetype(_FONT, 24))
    planes: NDArray[np.float32] = np.asarray(image, np.float32).transpose(2, 0, 1) / np.float32(127.5) - 1
    return planes
