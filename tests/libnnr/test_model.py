# SPDX-License-Identifier: Apache-2.0
"""nnr_decode: threads, recomposed weights and the limit of time."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nnr_codec import BitstreamError, Encoder, EncoderConfig, decode, encode
from nnr_codec.transform import Block, decompose
from tools.damage.__main__ import cases_of, vectors
from tools.damage.cases import damaged
from tools.damage.libnnr import CError, CTensor, Library
from tools.damage.native import LIMITS

#: NumPy's types by ``nnr_type``, for the types that it has.
TYPES = ("f4", "i4", "f8", "f2", "u2", "u1", "u1", "?", "u1", "i1", "u2", "i2", "u4", "u8", "i8")


class Model:
    """A model that `nnr_decode` returned, or its fault.

    Attributes
    ----------
    fault : tuple of (str, int, int) or None
        Class, bit and unit.
    tensors : dict of str to array
    """

    def __init__(
        self,
        library: Library,
        stream: bytes,
        *,
        threads: int = 0,
        recompose: bool = False,
        seconds: float = 0.0,
    ) -> None:
        options = library.limited_options() if recompose else library.c.nnr_default_options()
        options.view = 0
        options.threads, options.recompose, options.max_seconds = threads, int(recompose), seconds
        pointer, error = ctypes.c_void_p(), CError()
        status = library.c.nnr_decode(
            stream, len(stream), ctypes.byref(options), ctypes.byref(pointer), ctypes.byref(error)
        )
        self.fault = None
        self.tensors: dict[str, np.ndarray] = {}
        if status != 0:
            self.fault = library.c.nnr_status_name(status).decode(), int(error.bit_offset), int(error.unit)
            return
        library.c.nnr_model_size.argtypes, library.c.nnr_model_size.restype = (
            [ctypes.c_void_p],
            ctypes.c_size_t,
        )
        library.c.nnr_model_tensor.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        library.c.nnr_model_tensor.restype = ctypes.POINTER(CTensor)
        for index in range(library.c.nnr_model_size(pointer)):
            tensor = library.c.nnr_model_tensor(pointer, index).contents
            content = ctypes.string_at(tensor.values, tensor.n_bytes)
            shape = tensor.shape[: tensor.n_dimensions]
            array = np.frombuffer(content, "u1" if tensor.type >= len(TYPES) else TYPES[tensor.type])
            self.tensors[tensor.name.decode()] = array.reshape(shape) if tensor.type < len(TYPES) else array
        library.c.nnr_model_free(pointer)

    def is_as(self, other: Model) -> bool:
        """True if fault, names, types, shapes and bytes are the same."""
        return self.fault == other.fault and as_bytes(self) == as_bytes(other)


def as_bytes(model: Model) -> list[tuple[str, str, tuple[int, ...], bytes]]:
    """Return names, types, shapes and bytes in order."""
    return [(name, array.dtype.str, array.shape, array.tobytes()) for name, array in model.tensors.items()]


def streams() -> Iterator[tuple[str, bytes]]:
    """Yield the small vectors of one stream."""
    for name, (stream, *more) in vectors():
        if not more:
            yield name, stream


@pytest.mark.parametrize("threads", [2, 5])
def test_the_result_does_not_depend_on_threads(library: Library, threads: int) -> None:
    """Tensors in order, and the first fault of the stream, on whole and damaged vectors."""
    n_cases = 0
    for position, (name, stream) in enumerate(streams()):
        for case, what in [
            ([stream], "whole"),
            *(damaged([stream], n) for n in cases_of([stream], 997, position)),
        ]:
            assert Model(library, case[0], threads=threads).is_as(Model(library, case[0])), f"{name}: {what}"
            n_cases += 1
    assert n_cases > 1000


def test_many_units_on_threads(library: Library) -> None:
    """Units of very different sizes, carried tensors and patches between them."""
    rng = np.random.default_rng(8)
    tensors = {
        f"w{i}": rng.normal(size=(1 + 37 * i % 300, 1 + i % 50)).astype(np.float32) for i in range(300)
    }
    tensors["w7"][0, 0] = np.nan
    tensors |= {f"i{i}": np.array([1 << 40, i]) for i in range(5)}
    stream = bytes(encode(tensors))
    alone = Model(library, stream)
    assert len(alone.tensors) == 305
    for _ in range(5):
        assert Model(library, stream, threads=4).is_as(alone)


def in_blocks(**options: Any) -> bytes:
    """Encode one tensor whose block rows have entry points, in many pieces."""
    weights = np.random.default_rng(3).laplace(0, 0.1, (1024, 512)).astype(np.float32)
    return bytes(encode({"w": weights}, qp=-20, effort="fast", scan_order=1, **options))


def test_threads_share_the_block_rows_of_a_tensor(library: Library) -> None:
    """Same values as on one thread; processor time of the calling thread and of the others."""
    stream = in_blocks()
    alone = Model(library, stream)
    shares = []
    for _ in range(10):
        of_process, of_thread = time.process_time(), time.thread_time()
        threaded = Model(library, stream, threads=2)
        of_process, of_thread = time.process_time() - of_process, time.thread_time() - of_thread
        shares.append(1 - of_thread / of_process)
        assert threaded.is_as(alone)
    # The other thread may start late where the machine is busy.
    assert max(shares) > 0.2


@pytest.mark.parametrize("dependent", [False, True])
def test_damaged_block_rows_are_judged_as_on_one_thread(library: Library, dependent: bool) -> None:
    """Damage to entry points, which decoding in order ignores, and to the codeword."""
    stream = in_blocks(dependent=dependent)
    n_bits, rejected = 8 * len(stream), 0
    for bit in [*range(0, 8 * 500, 41), *range(8 * 500, n_bits, n_bits // 40)]:
        damaged_stream = bytearray(stream)
        damaged_stream[bit >> 3] ^= 0x80 >> (bit & 7)
        case = bytes(damaged_stream)
        alone = Model(library, case)
        assert Model(library, case, threads=3).is_as(alone), bit
        rejected += alone.fault is not None
    assert 0 < rejected < 100


def test_a_codebook_and_updates_keep_their_levels(library: Library) -> None:
    """Levels of a codebook are checked, and those of updates remembered, before they become values."""
    choices = np.random.default_rng(4).choice([0.0, 0.25, -0.5, 1.0], (1024, 64)).astype(np.float32)
    book = bytes(encode({"w": choices}, qp=-8, dependent=False, codebook=True, scan_order=1))
    update = bytes(Encoder(EncoderConfig(incremental=True, qp=-20, scan_order=1)).encode({"w": choices}))
    for stream in (book, update):
        alone = Model(library, stream)
        assert alone.fault is None
        assert Model(library, stream, threads=2).is_as(alone)


def test_recomposed_weights_are_pythons(library: Library) -> None:
    """Low-rank factors and local scalings of the vectors, in Python's order.

    BLAS sums in another order, so that products may differ in the last place of float32.
    """
    n_recomposed = n_different = n_tensors = 0
    for name, stream in streams():
        try:
            plain = decode(stream, limits=LIMITS)
            expected = decode(stream, recompose=True, limits=LIMITS)
        except BitstreamError:
            continue
        actual = Model(library, stream, recompose=True).tensors
        assert list(actual) == list(expected), name
        for key, values in expected.items():
            if str(values.dtype) == str(actual[key].dtype):
                np.testing.assert_allclose(actual[key], values, rtol=2**-23, err_msg=f"{name} {key}")
                n_different += int(actual[key].tobytes() != values.tobytes())
                n_tensors += 1
        n_recomposed += list(plain) != list(expected)
    assert n_recomposed > 30
    assert n_different <= n_tensors // 100


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_weights_are_made_from_float32_whatever_the_source(library: Library, dtype: type) -> None:
    """Factors and scalings are not rounded to the type of the source first; in Python neither."""
    rng = np.random.default_rng(5)
    product = (rng.normal(size=(24, 4)) @ rng.normal(size=(4, 30))).astype(np.float32)
    block = Block(weight=product, scaling=rng.normal(1, 0.1, 24).astype(np.float32))
    bias = {f"bias.{i}": np.ones(5).astype(dtype) for i in range(9)}
    stream = bytes(encode({**bias, "w": decompose(product, 4), "v": block}, qp=-30))
    assert decode(stream)["w_G"].dtype == (np.float32 if dtype is ml_dtypes.bfloat16 else dtype)
    expected = decode(stream, recompose=True)
    actual = Model(library, stream, recompose=True).tensors
    assert list(actual) == list(expected)
    for name in ("w", "v"):
        assert expected[name].dtype == actual[name].dtype == np.float32
        np.testing.assert_allclose(actual[name], expected[name], rtol=2**-23)
    parts = decode(stream, dequantize=False)
    exact = parts["w_G"].dequantize().astype(np.float64) @ parts["w_H"].dequantize().astype(np.float64)
    np.testing.assert_allclose(expected["w"], exact, rtol=2**-23)


def test_a_stream_that_takes_long_exceeds_a_limit(library: Library) -> None:
    """Checked before each unit."""
    stream = bytes(encode({f"w{i}": np.ones((64, 64), np.float32) for i in range(50)}))
    fault = Model(library, stream, seconds=1e-9).fault
    assert fault is not None
    assert fault[0] == "limit"
    assert Model(library, stream, seconds=1e9).fault is None
