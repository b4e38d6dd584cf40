# SPDX-License-Identifier: Apache-2.0
"""Inputs for the calibration of an ONNX model: read from files, or made from the declared types and shapes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.element_storage import STORAGE
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.onnx import schema
from nnr_codec.frameworks.onnx.calibration.graph import GraphInput

Batch = dict[str, NDArray[Any]]

#: Extents that a made input takes where the model leaves them open: the first is the batch.
_OPEN_BATCH, _OPEN_EXTENT = 4, 64
# Fewest elements of a signal in one dimension that can hold tones.
_SHORTEST_SIGNAL = 512
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
# Limit of integer inputs without a known one, such as bytes.
_LARGEST_INTEGER = 256
#: Default seed of made inputs.
SEED = 15938


def read_inputs(path: str | os.PathLike[str], inputs: Sequence[GraphInput], batch: int) -> list[Batch]:
    """Read samples.

    Parameters
    ----------
    path : path-like
        ``.npz`` with one array of samples per input of the model, ``.npy`` for a model with one input, or a folder of images.
    inputs : sequence of GraphInput
    batch : int
        Samples per batch, where the model leaves the first extent open.

    Raises
    ------
    NotEncodable
        The file does not hold all inputs, or not in their types and shapes.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        arrays: Mapping[str, NDArray[Any]] = {inputs[0].name: _images(path, inputs)}
    elif path.endswith(".npy"):
        arrays = {inputs[0].name: np.load(path)}
    else:
        with np.load(path) as archive:
            arrays = dict(archive)
    missing = [value.name for value in inputs if value.name not in arrays]
    if missing:
        raise NotEncodable(f"it has no array for the input {missing[0]!r} of the model", path=path)
    ordered = {value.name: np.asarray(arrays[value.name], _dtype(value)) for value in inputs}
    return _batches(ordered, inputs, batch, path)


def made_inputs(
    inputs: Sequence[GraphInput], n_samples: int, limits: Mapping[str, int] | None = None, seed: int = SEED
) -> list[Batch]:
    """Make samples from declared types and shapes.

    Floating-point inputs are noise with the spectrum of natural signals: each sample is smoothed along its last dimensions to
    a random extent, and has its own amplitude. Half of the samples of a long signal in one dimension are harmonic tones, as
    speech and music are. Integers are uniform from 0 to below 256, or to their limit; flags are random;
    scalars are 1, and 16000 if the name is that of a sampling rate.

    Parameters
    ----------
    inputs : sequence of GraphInput
    n_samples : int
    limits : mapping of str to int, optional
        Numbers of rows that integer inputs look up, by name of the input.
    seed : int
    """
    if not inputs:
        return [{}]
    generator = np.random.default_rng(seed)
    batches, n_made = list[Batch](), 0
    while n_made < n_samples:
        batch = {
            value.name: _made(value, generator, (limits or {}).get(value.name, _LARGEST_INTEGER))
            for value in inputs
        }
        batches.append(batch)
        n_made += _batch_extent(inputs[0])
    return batches


def _batch_extent(value: GraphInput) -> int:
    return (value.shape[0] or _OPEN_BATCH) if value.shape else 1


def _made(value: GraphInput, generator: np.random.Generator, limit: int) -> NDArray[Any]:
    shape = tuple(
        extent or (_OPEN_BATCH if axis == 0 else _OPEN_EXTENT) for axis, extent in enumerate(value.shape)
    )
    dtype = _dtype(value)
    if not shape:
        return np.asarray(16000 if value.name in ("sr", "sample_rate", "sampling_rate") else 1, dtype)
    if dtype.kind == "b":
        return generator.random(shape) < 0.5
    if dtype.kind in "iu":
        if "mask" in value.name:
            return np.ones(shape, dtype)
        return generator.integers(0, limit, shape).astype(dtype)
    noise = generator.standard_normal(shape)
    if len(shape) > 1:
        is_signal = max(shape[1:]) == noise[0].size >= _SHORTEST_SIGNAL
        for sample in noise:
            if is_signal and generator.random() < 0.5:
                sample[...] = _tones(sample.size, generator).reshape(sample.shape)
            else:
                _smooth(sample, generator)
    return noise.astype(dtype)


def _tones(length: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Make a signal of gliding harmonic tones and pauses, with a little noise: float64[length]."""
    signal = 2 ** generator.uniform(-10, -4) * generator.standard_normal(length)
    start = 0
    while start < length:
        n = min(int(2 ** generator.uniform(10, 14)), length - start)
        if generator.random() < 0.7:
            share = np.arange(n) / n
            frequency = 2 ** generator.uniform(-9, -5) * (1 + generator.uniform(-0.3, 0.3) * share)
            phase = 2 * np.pi * np.cumsum(frequency)
            tone = sum(
                generator.random()
                / k ** generator.uniform(0, 1.5)
                * np.sin(k * phase + 2 * np.pi * generator.random())
                for k in range(1, 16)
            )
            signal[start : start + n] += 2 ** generator.uniform(-5, -1) * np.sin(np.pi * share) * tone
        start += n
    return signal


def _smooth(sample: NDArray[np.float64], generator: np.random.Generator) -> None:
    """Smooth a sample in place along its last two dimensions, and scale it to a random amplitude of at most 1."""
    for axis in range(max(sample.ndim - 2, 0), sample.ndim):
        length = min(int(2 ** generator.uniform(0, 4)), sample.shape[axis])
        kernel = np.ones(length) / np.sqrt(length)
        lines = np.moveaxis(sample, axis, -1)
        lines[...] = np.apply_along_axis(np.convolve, -1, lines, kernel, "same")
    sample *= 2 ** generator.uniform(-3, 0) / max(float(np.abs(sample).max()), 1e-12)


def _dtype(value: GraphInput) -> np.dtype[Any]:
    tag = schema.tag_of_type(value.data_type)
    if tag == "BOOL":
        return np.dtype(np.bool_)
    if tag not in STORAGE or tag in ("BF16",) or tag.startswith("F8"):
        raise NotEncodable(f"inputs of type {tag} cannot be made or read", path=value.name)
    return np.dtype(STORAGE[tag])


def _batches(arrays: Batch, inputs: Sequence[GraphInput], batch: int, path: str) -> list[Batch]:
    """Divide arrays of samples into batches; scalars and arrays of a fixed batch are the same in each."""
    lead = inputs[0]
    if len(arrays[lead.name].shape) != len(lead.shape):
        raise NotEncodable(
            f"the input {lead.name!r} has {len(lead.shape)} dimensions, not {arrays[lead.name].ndim}",
            path=path,
        )
    n_samples = len(arrays[lead.name]) if lead.shape else 1
    size = (lead.shape[0] or batch) if lead.shape else 1
    batches = []
    for start in range(0, n_samples, size):
        stop = min(start + size, n_samples)
        if lead.shape and lead.shape[0] and stop - start < size:
            break
        batches.append(
            {
                name: array[start:stop] if array.ndim and len(array) == n_samples else array
                for name, array in arrays.items()
            }
        )
    return batches


def _images(folder: str, inputs: Sequence[GraphInput]) -> NDArray[np.float32]:
    """Read the images of a folder as the input of a vision model: planes of red, green and blue in -1 to 1."""
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith(_IMAGE_SUFFIXES))
    if not names or len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise NotEncodable(
            "a folder of images needs images, and a model with one input of 4 dimensions", path=folder
        )
    try:
        from PIL import Image
    except ImportError:
        raise NotEncodable("images are read with Pillow: pip install pillow", path=folder) from None
    shape = inputs[0].shape
    planes_last = shape[3] == 3 and shape[1] != 3
    height, width = (shape[1], shape[2]) if planes_last else (shape[2], shape[3])
    pictures = []
    for name in names:
        with Image.open(os.path.join(folder, name)) as image:
            resized = image.convert("RGB").resize((width or image.width, height or image.height))
            pixels = np.asarray(resized, np.float32) / 127.5 - 1
        pictures.append(pixels if planes_last else pixels.transpose(2, 0, 1))
    if len({picture.shape for picture in pictures}) > 1:
        raise NotEncodable("images of different sizes for a model without a fixed size", path=folder)
    return np.stack(pictures)
