# SPDX-License-Identifier: Apache-2.0
"""nnr.h: defaults, misuse, memory and the examples."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnr_codec import Decoder, Encoder, EncoderConfig, Limits, decode
from nnr_codec.errors import BitstreamError, LimitExceeded
from nnr_codec.inspect.read.reference_reader import ReferenceReader
from nnr_codec.model import CompressedParameterTypes, DataUnit, DataUnitHeader, PayloadType, StartUnit
from nnr_codec.model import Limits as ModelLimits
from nnr_codec.syntax import SyntaxState, build_unit, iter_units
from tools import libnnr
from tools.damage import native
from tools.damage.__main__ import vectors
from tools.damage.libnnr import ALLOCATE, LIMIT_NAMES, RELEASE, SHAPE_SOURCE, CError, COptions, Library

END, MEMORY, ARGUMENT = 1, 6, 7


class CountingAllocator:
    """An allocator that counts, and that can be told to fail.

    Attributes
    ----------
    n_live, peak : int
        Bytes in use now, and at most.
    n_calls : int
    fails_at : int or None
        Index of the call that returns NULL.
    """

    def __init__(self, fails_at: int | None = None) -> None:
        self.n_calls = self.n_live = self.peak = 0
        self.fails_at = fails_at
        self._blocks: dict[int, ctypes.Array[ctypes.c_char]] = {}
        # Kept, since C calls them.
        self.allocate, self.release = ALLOCATE(self._allocate), RELEASE(self._release)

    def _allocate(self, _: object, n_bytes: int) -> int | None:
        self.n_calls += 1
        if self.n_calls - 1 == self.fails_at:
            return None
        block = ctypes.create_string_buffer(n_bytes + 16)
        address = (ctypes.addressof(block) + 15) & ~15
        self._blocks[address] = block
        self.n_live += n_bytes
        self.peak = max(self.peak, self.n_live)
        return address

    def _release(self, _: object, address: int) -> None:
        self.n_live -= len(self._blocks.pop(address)) - 16


def run(library: Library, streams: Sequence[bytes], allocator: CountingAllocator) -> int:
    """Decode one stream into a model, or a sequence for the decoder's own memory; the first status that is a fault."""
    options = library.c.nnr_default_options()
    options.allocator.allocate = ctypes.cast(allocator.allocate, ctypes.c_void_p)
    options.allocator.release = ctypes.cast(allocator.release, ctypes.c_void_p)
    if len(streams) == 1:
        model = ctypes.c_void_p()
        (stream,) = streams
        status = library.c.nnr_decode(stream, len(stream), ctypes.byref(options), ctypes.byref(model), None)
        library.c.nnr_model_free(model)
        return int(status)
    decoder = library.c.nnr_decoder_create(ctypes.byref(options))
    if decoder is None:
        return MEMORY
    status = 0
    for stream in streams:
        status = library.c.nnr_decoder_open(decoder, stream, len(stream), None)
        while status == 0:
            status = library.c.nnr_decoder_next(decoder, None)
        if status != END:
            break
    library.c.nnr_decoder_free(decoder)
    return 0 if status == END else int(status)


def test_default_limits_are_pythons(library: Library) -> None:
    """One set of defaults, whichever the decoder."""
    limits = library.c.nnr_default_limits()
    for name in LIMIT_NAMES:
        assert getattr(limits, name) == getattr(ModelLimits(), name), name
    # Time and aggregate units are the Python decoder's own.
    assert set(LIMIT_NAMES) | {"max_nesting", "max_seconds"} == set(ModelLimits.__dataclass_fields__)


def test_misuse_is_reported(library: Library) -> None:
    """Calls that the header forbids return NNR_ARGUMENT."""
    error = CError()
    decoder = library.c.nnr_decoder_create(None)
    assert library.c.nnr_decoder_next(decoder, ctypes.byref(error)) == ARGUMENT
    assert library.c.nnr_decoder_read(decoder, 0, None, None) == ARGUMENT
    assert library.c.nnr_decoder_open(decoder, None, 3, None) == ARGUMENT
    assert library.c.nnr_decoder_open(decoder, b"", 0, ctypes.byref(error)) == 3
    assert (error.text, error.bit_offset) == (b"the stream is empty", 0)
    assert library.c.nnr_decoder_next(decoder, None) == ARGUMENT
    library.c.nnr_decoder_free(decoder)
    library.c.nnr_decoder_free(None)


def test_objects_that_were_not_made_are_empty(library: Library) -> None:
    """A decoder or model that is NULL, because memory was short, is refused or has no tensors."""
    c = library.c
    assert c.nnr_decoder_open(None, b"abc", 3, None) == ARGUMENT
    assert c.nnr_decoder_open_for_pushing(None, None) == ARGUMENT
    c.nnr_decoder_headers_only(None)
    c.nnr_decoder_finish(None)
    assert (c.nnr_decoder_size(None), bool(c.nnr_decoder_tensor(None, 0)), c.nnr_decoder_profile(None)) == (
        0,
        False,
        0,
    )
    for name in ("nnr_model_size", "nnr_model_tensor", "nnr_model_find"):
        getattr(c, name).restype = ctypes.c_void_p
        assert not getattr(c, name)(None, None), name


def test_options_that_no_initialiser_made_are_refused(library: Library) -> None:
    """Zeros in place of the size or the allocator; the model is NULL, so that it may be freed."""
    stream = bytes(Encoder().encode({"a": np.ones(3, np.float32)}))
    for n_bytes in (0, ctypes.sizeof(COptions)):
        options = COptions(struct_bytes=n_bytes)
        model = ctypes.c_void_p(1)
        arguments = (len(stream), ctypes.byref(options), ctypes.byref(model), None)
        assert library.c.nnr_decode(stream, *arguments) == ARGUMENT
        assert model.value is None
        assert library.c.nnr_decoder_create(ctypes.byref(options)) is None
    model = ctypes.c_void_p(1)
    assert library.c.nnr_decode(None, 3, None, ctypes.byref(model), None) == ARGUMENT
    assert model.value is None


def test_headers_alone_do_not_read_updates(library: Library) -> None:
    """Without the tensors that it updates, a unit would give wrong values; other units are read."""
    base = {"a": np.linspace(-1, 1, 40, dtype=np.float32).reshape(5, 8)}
    for incremental, expected in ((True, ARGUMENT), (False, 0)):
        stream = bytes(Encoder(EncoderConfig(incremental=incremental)).encode(base))
        decoder = library.c.nnr_decoder_create(None)
        assert library.c.nnr_decoder_open(decoder, stream, len(stream), None) == 0
        library.c.nnr_decoder_headers_only(decoder)
        assert library.c.nnr_decoder_next(decoder, None) == 0
        assert library.c.nnr_decoder_read(decoder, 0, None, None) == expected
        library.c.nnr_decoder_free(decoder)


@pytest.mark.parametrize("wanted", ["block", "parts", "reference-list", "deflate", "incremental"])
def test_every_failed_allocation_is_reported(library: Library, wanted: str) -> None:
    """Whichever allocation fails: NNR_MEMORY, and nothing is leaked."""
    streams = next(streams for name, streams in vectors() if wanted in name and "invalid" not in name)
    whole = CountingAllocator()
    assert run(library, streams, whole) == 0
    assert whole.n_live == 0
    for index in range(whole.n_calls):
        allocator = CountingAllocator(fails_at=index)
        assert run(library, streams, allocator) == MEMORY, index
        assert allocator.n_live == 0, index


def test_a_failed_allocation_in_the_description_is_reported(library: Library) -> None:
    """Types, names, carried tensors and patches: a lack of memory is no damage to the stream."""
    tensors: dict[str, Any] = {
        "encoder.0.weight": np.array([[1, np.nan], [2, 3]], np.float32),
        "encoder.0.half": np.ones((2, 3), np.float16),
        "count": np.array(1 << 40),
    }
    stream = bytes(Encoder(EncoderConfig(short_names=True)).encode(tensors, metadata={"a": 'b\n"é'}))
    whole = CountingAllocator()
    assert run(library, [stream], whole) == 0
    for index in range(whole.n_calls):
        allocator = CountingAllocator(fails_at=index)
        assert (run(library, [stream], allocator), allocator.n_live) == (MEMORY, 0), index


def test_memory_beyond_the_tensors_is_bounded(library: Library) -> None:
    """At most the tensors, 4 bytes a weight of the largest unit, and 1 MB."""
    rng = np.random.default_rng(5)
    tensors = {f"layer{i}": rng.normal(size=(64, 300 * i + 1)).astype(np.float32) for i in range(6)}
    stream = bytes(Encoder().encode(tensors))
    allocator = CountingAllocator()
    assert run(library, [stream], allocator) == 0
    n_bytes = 4 * sum(tensor.size for tensor in tensors.values())
    largest = 4 * max(tensor.size for tensor in tensors.values())
    assert n_bytes <= allocator.peak <= n_bytes + largest + (1 << 20)


def test_the_c_example_prints_the_tensors(build_folder: Path, tmp_path: Path) -> None:
    """Names, types and sizes; a damaged stream exits 1."""
    path = tmp_path / "model.nnc"
    stream = bytes(Encoder().encode({"a": np.ones((3, 5), np.float32), "b": np.zeros(7, np.float32)}))
    path.write_bytes(stream)
    shown = subprocess.run(
        [build_folder / "decode_example", path], capture_output=True, text=True, check=True
    )
    assert shown.stdout.splitlines() == ["a F32 15", "b F32 7"]
    path.write_bytes(stream[:-1])
    failed = subprocess.run(
        [build_folder / "decode_example", path], capture_output=True, text=True, check=False
    )
    assert failed.returncode == 1
    assert failed.stderr.startswith("truncated at bit ")


def test_the_cpp_example_decodes_one_tensor(build_folder: Path, tmp_path: Path) -> None:
    """By name, into a buffer of the caller."""
    path = tmp_path / "model.nnc"
    stream = bytes(Encoder().encode({"a": np.ones((3, 5), np.float32), "b": np.arange(7, dtype=np.float32)}))
    path.write_bytes(stream)
    shown = subprocess.run(
        [build_folder / "one_tensor_example", path, "b"], capture_output=True, text=True, check=True
    )
    values = np.array(shown.stdout.split(), np.float32)
    np.testing.assert_array_equal(values, decode(stream, limits=Limits())["b"])


def test_an_installed_library_is_taken_by_cmake_and_by_pkg_config(build_folder: Path, tmp_path: Path) -> None:
    """`find_package(nnr)` links the C example; `nnr.pc` names where header and library are."""
    cmake = libnnr.tool("cmake")
    assert cmake is not None
    prefix, project = tmp_path / "prefix", tmp_path / "project"
    subprocess.run([cmake, "--install", build_folder, "--prefix", prefix], check=True, capture_output=True)
    project.mkdir()
    example = libnnr.ROOT / "native/examples/decode.c"
    (project / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(user C)\nfind_package(nnr REQUIRED)\n"
        f'add_executable(user "{example}")\ntarget_link_libraries(user PRIVATE nnr::nnr)\n'
    )
    build = tmp_path / "build"
    configure = [cmake, "-S", project, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}"]
    for command in (configure, [cmake, "--build", build]):
        subprocess.run(command, check=True, capture_output=True)
    path = tmp_path / "model.nnc"
    path.write_bytes(bytes(Encoder().encode({"a": np.ones(3, np.float32)})))
    shown = subprocess.run([build / "user", path], capture_output=True, text=True, check=True)
    assert shown.stdout == "a F32 3\n"
    (package,) = prefix.rglob("nnr.pc")
    # The package is found where it was put, not where it was configured for.
    variables = {"pcfiledir": str(package.parent)}
    for line in package.read_text().splitlines():
        name, separator, value = line.partition("=")
        if separator and ":" not in name:
            variables[name] = re.sub(r"\$\{(\w+)\}", lambda match: variables[match[1]], value)
    assert (Path(variables["includedir"]) / "nnr.h").exists()
    assert (Path(variables["includedir"]) / "nnr.hpp").exists()
    assert any(path.name.startswith("libnnr.") for path in Path(variables["libdir"]).iterdir())
    # The installed program finds the installed library.
    usage = subprocess.run([prefix / "bin/nnrdec", "--help"], capture_output=True, text=True, check=True)
    assert usage.stdout.startswith("usage: nnrdec")


def test_a_linker_of_c_suffices(build_folder: Path) -> None:
    """The library uses nothing of the C++ run-time library, so that a static one links in a project without C++."""
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm is not here")
    library_path = next(build_folder.glob("libnnr.*[!0-9]"))
    listed = subprocess.run([nm, "-D", "-u", str(library_path)], capture_output=True, text=True, check=True)
    undefined = {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()}
    assert "inflate" in undefined
    assert not {name for name in undefined if name.startswith(("_Z", "__cxa_guard", "__gxx"))}


def test_shapes_from_the_caller(library: Library) -> None:
    """A unit without dimensions asks for its shape, and is malformed where nobody knows it."""
    profile = SyntaxState().after(StartUnit(1))
    header = DataUnitHeader(("w",), payload_type=PayloadType.NNR_PT_RAW_FLOAT)
    values = np.arange(6, dtype="<f4")
    stream = build_unit(StartUnit(1), SyntaxState()) + build_unit(DataUnit(header, values.tobytes()), profile)
    options, error = library.c.nnr_default_options(), CError()

    @SHAPE_SOURCE
    def shape_of(_: object, name: bytes, shape: Any, capacity: int) -> int:
        assert (name, capacity >= 32) == (b"w", True)
        shape[0], shape[1] = 2, 3
        return 2

    for source, expected in ((None, (3, b"tensor_dimensions")), (shape_of, (0, b""))):
        options.shape_source = ctypes.cast(source, ctypes.c_void_p) if source else None
        decoder = library.c.nnr_decoder_create(ctypes.byref(options))
        assert library.c.nnr_decoder_open(decoder, stream, len(stream), None) == 0
        status = library.c.nnr_decoder_next(decoder, ctypes.byref(error))
        assert (status, error.element) == expected
        if status == 0:
            tensor = library.c.nnr_decoder_tensor(decoder, 0).contents
            assert tensor.shape[: tensor.n_dimensions] == [2, 3]
            array = np.empty(6, np.float32)
            buffers = (ctypes.c_void_p * 1)(array.ctypes.data)
            assert library.c.nnr_decoder_read(decoder, 0, buffers, None) == 0
            np.testing.assert_array_equal(array, values)
        library.c.nnr_decoder_free(decoder)


def test_factors_of_a_shape_from_the_caller_are_limited(library: Library) -> None:
    """The caller knows the weight; the rank is the stream's."""
    header = DataUnitHeader(
        ("w_G",),
        payload_type=PayloadType.NNR_PT_RAW_FLOAT,
        compressed_parameter_types=CompressedParameterTypes.DC,
        decomposition_rank=1 << 31,
        g_number_of_rows=100,
    )
    stream = build_unit(StartUnit(1), SyntaxState())
    stream += build_unit(DataUnit(header, b"1234"), SyntaxState().after(StartUnit(1)))
    with pytest.raises(LimitExceeded) as caught:
        Decoder(dimensions={"w_G": (10, 10)}).decode(stream)
    place = 8 * (len(stream) - 4)
    assert caught.value.bit_offset == place
    with pytest.raises(LimitExceeded) as caught:
        list(ReferenceReader(memoryview(stream), Limits(), {"w_G": (10, 10)}).tensors())
    assert caught.value.bit_offset == place
    # Two units of the same name count twice.
    raw = DataUnitHeader(("w",), payload_type=PayloadType.NNR_PT_RAW_FLOAT)
    unit = build_unit(DataUnit(raw, bytes(24)), SyntaxState().after(StartUnit(1)))
    twice = build_unit(StartUnit(1), SyntaxState()) + unit + unit
    for total, fails in ((12, False), (11, True)):
        limits = Limits(max_total_elements=total)
        for read in (
            Decoder(dimensions={"w": (2, 3)}, limits=limits).decode,
            lambda stream, limits=limits: list(
                ReferenceReader(memoryview(stream), limits, {"w": (2, 3)}).tensors()
            ),
        ):
            if not fails:
                read(twice)
                continue
            with pytest.raises(LimitExceeded) as caught:
                read(twice)
            assert caught.value.bit_offset == 8 * (len(twice) - 24)


def refers_by_index(stream: bytes) -> bool:
    """Tell whether a stream's units name their tensors by index."""
    try:
        units = [unit for _, unit, _ in iter_units(stream)]
    except BitstreamError:
        return False
    return any(isinstance(unit, DataUnit) and unit.header.topology_elem_id_indices for unit in units)


@pytest.mark.parametrize("kept", [1, 2])
def test_forgotten_updates_are_pythons(library: Library, kept: int) -> None:
    """With few updates kept: the same verdict and place on every sequence of the suites."""
    n_limited = 0
    for name, streams in vectors():
        # The Python decoder counts all units that refer to their names by index as updates of one parameter.
        if len(streams) > 1 and not refers_by_index(streams[0]):
            expected = native.verdict(streams, replace(native.LIMITS, max_updates_kept=kept))
            assert library.verdict(streams, max_updates_kept=kept) == expected, name
            n_limited += expected[0] == "limit"
    assert (n_limited > 0) == (kept == 1)
