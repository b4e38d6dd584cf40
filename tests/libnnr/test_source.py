# SPDX-License-Identifier: Apache-2.0
"""nnr.h's view of the source: the types, names and shapes of every tensor that our encoder writes."""

from __future__ import annotations

import ctypes
import json
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnr_codec import BitstreamError, decode, decode_file, encode
from nnr_codec.codec.stream.carrier import CarriedKind, carrier_units
from nnr_codec.codec.stream.tensor_patch import TensorPatch
from nnr_codec.frameworks.safetensors import SafetensorsFile
from nnr_codec.model import (
    DataUnit,
    DataUnitHeader,
    PayloadType,
    StartUnit,
    TopologyCompressionFormat,
    TopologyStorageFormat,
    TopologyUnit,
)
from nnr_codec.model.data_types import DATA_TYPES
from nnr_codec.syntax import SyntaxState, build_unit
from tools.damage.cases import damaged, n_cases
from tools.damage.libnnr import CError, Library

END = 1
RNG = np.random.default_rng(2024)
#: Values at which float types round, overflow, or have subnormals.
EDGES = np.array(
    [0.0, -0.0, 1e-45, -1e-45, 5.9e-8, 2.98e-8, 2.99e-8, 6e-5, 0.0019, 0.00098, 0.0009765625, 1.5e-5, 7.6e-6, 464, 463.9, 447,
     61440, 61439, 65504, 65519, 65520, 1e9, -1e9, 3.38e38, 3.4028235e38, -3.4028235e38, 1.00390625, 1.01171875, 2.5, 3.5],
    np.float32,
)  # fmt: skip


def model() -> tuple[dict[str, Any], dict[str, str]]:
    """Return tensors as a real model has them, and the types of those that NumPy lacks."""

    def normal(*shape: int) -> np.ndarray:
        return RNG.normal(0, 0.1, shape).astype(np.float32)

    tensors: dict[str, Any] = {
        "encoder.0.weight": normal(40, 30),
        "encoder.0.norm.weight": normal(40),
        "encoder.0.norm.num_batches_tracked": np.array(1234567, np.int64),
        "encoder.1.weight": normal(20, 5, 3, 3),
        "encoder/1/norm.num_batches_tracked": np.array(7, np.int64),
        "half": normal(30, 40).astype(np.float16),
        "double": normal(30, 10).astype(np.float64) * 1e-3,
        "precise": np.array([1e300, 1e-300]),
        "ids": np.arange(12, dtype=np.int64).reshape(3, 4),
        "large": np.array([2**62, -(2**62)]),
        "größe \U0001f980": np.array([2**62 + 1, 5]),
        "unsigned": np.array([2**64 - 1], np.uint64),
        "bytes": np.arange(200, dtype=np.uint8),
        "signed": np.arange(-20, 20, dtype=np.int8),
        "short": np.arange(-300, 300, 7, dtype=np.int16),
        "words": np.arange(0, 60000, 701, dtype=np.uint16),
        "mask": RNG.random((7, 9)) > 0.5,
        "scalar": np.array(2.5, np.float32),
        "flag": np.array(True),
        "empty": np.zeros((0, 5), np.float16),
        "complex": np.array([1 + 2j, 3 - 4j], np.complex64),
        "holes": np.where(RNG.random((50, 60)) < 0.1, np.nan, normal(50, 60)).astype(np.float32),
        "open": np.where(np.arange(400) % 97 == 0, -np.inf, normal(400)).astype(np.float16),
        "brain": normal(64, 64),
        "brain.bias": normal(64),
        "tiny": normal(32, 32),
        "tinier": normal(32, 32),
        "Ünïcode \U0001f980": normal(9, 9),
    }
    widened = {"brain": "BF16", "brain.bias": "BF16", "tiny": "F8_E4M3", "tinier": "F8_E5M2"}
    return tensors, widened


def assert_same_files(program: Path, stream: bytes, folder: Path) -> int:
    """Compare nnrdec's safetensors file with Python's; the number of tensors."""
    folder.mkdir(exist_ok=True)
    path, ours, pythons = (folder / name for name in ("m.nnc", "c.safetensors", "python.safetensors"))
    path.write_bytes(stream)
    subprocess.run([program, path, "--to", ours], check=True)
    decode_file(path, pythons, overwrite=True)
    with SafetensorsFile(str(ours)) as actual, SafetensorsFile(str(pythons)) as expected:
        assert set(actual) == set(expected)
        for name in expected:
            assert actual.describe(name) == expected.describe(name), name
            values, wanted = actual[name], expected[name]
            assert (values.shape, values.tobytes()) == (wanted.shape, wanted.tobytes()), name
        return len(expected)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"short_names": True},
        {"reference_list": True},
        {"peer_compatible": True},
        {"qp": -20},
        {"codebook": True, "dependent": False},
        {"incremental": True},
        {"checksum": True},
    ],
    ids=lambda options: "-".join(options) or "default",
)
def test_every_tensor_comes_back_as_in_python(
    build_folder: Path, tmp_path: Path, options: Mapping[str, Any]
) -> None:
    """Name, type, shape and bytes: 15 types, scalars, empty tensors, carried ones and patches."""
    tensors, widened = model()
    stream = bytes(encode(tensors, dtypes=widened, **options))
    assert assert_same_files(build_folder / "nnrdec", stream, tmp_path) == len(tensors)


def raw_stream(tag: str, values: np.ndarray, *units: TopologyUnit) -> bytes:
    """Return a stream with one raw float tensor that a description says to be of a type, and topology units before it."""
    state = SyntaxState()
    stream = build_unit(StartUnit(1), state)
    state = state.after(StartUnit(1))
    text = json.dumps({"nnr_codec.source": {"names": {tag: ["w"]}}}, separators=(",", ":"))
    description = TopologyUnit(TopologyStorageFormat(0), topology_data=text.encode())
    stream += b"".join(build_unit(unit, state) for unit in (description, *units))
    header = DataUnitHeader(("w",), payload_type=PayloadType.NNR_PT_RAW_FLOAT, tensor_dimensions=values.shape)
    return stream + build_unit(DataUnit(header, values.astype("<f4").tobytes()), state)


@pytest.mark.parametrize("tag", sorted(DATA_TYPES))
def test_conversion_is_numpys(build_folder: Path, tmp_path: Path, tag: str) -> None:
    """Rounding to nearest even, saturation, subnormals and zeros of either sign."""
    bits = RNG.integers(0, 1 << 32, 20_000, dtype=np.uint32).view(np.float32)
    values = np.concatenate(
        [EDGES, -EDGES, bits[np.isfinite(bits)], RNG.normal(0, 30, 5000).astype(np.float32)]
    )
    if np.dtype(DATA_TYPES[tag].array_type).kind in "iu":
        limits = np.iinfo(DATA_TYPES[tag].array_type)
        values = np.rint(values[(values > limits.min / 2) & (values < limits.max / 2)]) + np.float32(0.25)
    assert assert_same_files(build_folder / "nnrdec", raw_stream(tag, values), tmp_path) == 1


@pytest.mark.parametrize(
    ("tag", "value"), [("U8", -1), ("I8", 128), ("U16", 65536), ("I64", 2.0**63), ("F5", 0), ("I32", np.nan)]
)
def test_a_type_that_cannot_hold_the_values_is_malformed(library: Library, tag: str, value: float) -> None:
    """With the class and place of the Python decoder."""
    stream = raw_stream(tag, np.array([1, value], np.float32))
    with pytest.raises(BitstreamError) as caught:
        decode(stream)
    assert source_verdict(library, stream) == ("malformed", caught.value.bit_offset)


@pytest.mark.parametrize("tag", ["F16", "BF16", "F64", "I8"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
def test_a_patch_is_applied_before_the_conversion(
    build_folder: Path, library: Library, tmp_path: Path, tag: str, value: float
) -> None:
    """Its values saturate as others do, and an integer type holds none of them."""
    patch = TensorPatch(np.array([1]), np.array([value], np.float32))
    (unit,) = carrier_units(CarriedKind.PATCH, "w", patch.to_bytes())
    stream = raw_stream(tag, np.zeros(3, np.float32), unit)
    if tag == "I8":
        assert source_verdict(library, stream) == python_verdict(stream)
        assert python_verdict(stream)[0] == "malformed"
    else:
        assert assert_same_files(build_folder / "nnrdec", stream, tmp_path) == 1


def source_verdict(library: Library, stream: bytes) -> tuple[str, int]:
    """Decode in the view of the source; class and bit, or "ok" and the number of tensors."""
    model_pointer, error = ctypes.c_void_p(), CError()
    status = library.c.nnr_decode(stream, len(stream), None, ctypes.byref(model_pointer), ctypes.byref(error))
    if status != 0:
        return library.c.nnr_status_name(status).decode(), int(error.bit_offset)
    library.c.nnr_model_size.argtypes, library.c.nnr_model_size.restype = [ctypes.c_void_p], ctypes.c_size_t
    size = int(library.c.nnr_model_size(model_pointer))
    library.c.nnr_model_free(model_pointer)
    return "ok", size


def python_verdict(stream: bytes) -> tuple[str, int]:
    """Return the same from the Python decoder."""
    try:
        return "ok", len(decode(stream))
    except BitstreamError as error:
        word = type(error).__name__.removesuffix("Bitstream").removesuffix("Exceeded").lower()
        return word, -1 if error.bit_offset is None else error.bit_offset


@pytest.mark.parametrize(
    "options", [{}, {"short_names": True, "peer_compatible": True}], ids=["default", "text"]
)
def test_damage_to_carriers_is_judged_as_in_python(library: Library, options: Mapping[str, Any]) -> None:
    """Flipped bits and truncations of a small stream with a description, carriers, names and a patch."""
    tensors = {
        "w": np.array([[1, np.nan], [2, 3]], np.float32),
        "h": np.ones((2, 3), np.float16),
        "big": np.array([1 << 40, 7]),
        "none": np.zeros((0, 2), np.uint8),
        "s": np.array(3, np.int64),
    }
    stream = bytes(encode(tensors, **options))
    n_tested = 0
    for number in range(n_cases([stream])):
        ((case,), what) = damaged([stream], number)
        expected, actual = python_verdict(case), source_verdict(library, case)
        # libnnr does not read where the source had a tensor. Python judges positions at the end of the stream.
        skips_position = expected == ("malformed", 8 * len(case)) and actual[0] == "ok"
        assert actual == expected or skips_position, what
        n_tested += 1
    assert n_tested > 2500


@pytest.mark.parametrize(
    "member",
    [
        '"x":"\x01"',
        '"x":"\\q"',
        '"x":"\\u12"',
        '"x":"\\',
        '"x":"\\u00e9\\n"',
        '"x":[{"y":"\x1f"}]',
        '"x":"\x7f"',
    ],
    ids=repr,
)
def test_texts_that_are_skipped_are_checked(library: Library, member: str) -> None:
    """Members that later versions may add are JSON as well; a damaged one is malformed as in Python."""
    state = SyntaxState().after(StartUnit(1))
    text = f'{{"nnr_codec.source":{{"type":"F16",{member}}}}}'.encode()
    unit = TopologyUnit(TopologyStorageFormat(0), TopologyCompressionFormat(0), text)
    stream = build_unit(StartUnit(1), SyntaxState()) + build_unit(unit, state)
    assert source_verdict(library, stream) == python_verdict(stream)


def test_a_carrier_in_the_text_of_another_encoder(library: Library) -> None:
    """A repeated piece and one of two items at once are malformed at their units."""
    state = SyntaxState().after(StartUnit(1))
    start = build_unit(StartUnit(1), SyntaxState())
    (unit,) = carrier_units(CarriedKind.TENSOR, "a", struct.pack("<q", 5), tag="I64", shape=(1,))
    piece = build_unit(unit, state)
    assert source_verdict(library, start + piece) == ("ok", 1)
    for stream in (start + piece + piece, start + build_unit(carrier_cut(unit), state)):
        assert source_verdict(library, stream) == python_verdict(stream)
        assert source_verdict(library, stream)[0] != "ok"


def carrier_cut(unit: Any) -> Any:
    """Return a carrier unit without its last byte."""
    from dataclasses import replace

    return replace(unit, topology_data=unit.topology_data[:-1])
