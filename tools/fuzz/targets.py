# SPDX-License-Identifier: Apache-2.0
"""Python fuzz targets: functions of bytes that raise on a violated property.

``decoder`` takes the bytes as a stream; ``structure`` changes syntax elements of a conformance vector and rebuilds it;
``encoder`` creates a model and options, encodes and decodes. The last two read their choices from the bytes, so that
coverage-guided fuzzers can steer them.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import nnr_codec
from nnr_codec.errors import BitstreamError, InternalError, NotEncodable
from nnr_codec.inspect import Dump, Paint, Survey
from nnr_codec.model import Limits
from nnr_codec.syntax import SyntaxState, build_tree, iter_unit_spans, parse_tree, parse_unit
from tools.damage.__main__ import vectors

#: Limits that keep an execution to milliseconds and admit the vectors.
LIMITS = Limits(
    max_tensor_elements=1 << 14, max_total_elements=1 << 15, max_topology_bytes=1 << 20, max_units=1 << 10
)
SLOW_SECONDS = 1.0
MOST_RESIDENT_BYTES = 1 << 29

#: Boundary values of field widths, limits and signs.
_EDGES = (0, 1, 2, 3, 7, 8, 9, 31, 32, 127, 128, 255, 256, 1 << 15, (1 << 16) - 1, 1 << 31, (1 << 32) - 1)


class Finding(AssertionError):
    """Violated property."""


class Choices:
    """Choices read from bytes; after the end, every choice is the first option."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def below(self, count: int) -> int:
        """Read a number from 0 to count - 1."""
        n_bytes = 1 if count <= 256 else 2 if count <= 1 << 16 else 4
        piece = self._octets[self._at : self._at + n_bytes]
        self._at += n_bytes
        return int.from_bytes(piece, "big") % count

    def one_of(self, options: Any) -> Any:
        """Read one option of a sequence."""
        return options[self.below(len(options))]

    def unread(self) -> bytes:
        """Bytes after the read ones."""
        return self._octets[self._at :]


@cache
def seeds() -> list[bytes]:
    """Streams of the conformance vectors."""
    return [stream for _, streams in vectors() for stream in streams]


def decoder(octets: bytes) -> None:
    """Check that every reader returns a result or raises an error with path and bit."""
    # A dump takes as long as four decodings; run it for one input in eight.
    for read in (_decode, _describe, *((_dump,) if sum(octets) % 8 == 0 else ())):
        try:
            read(octets)
        except InternalError:
            raise
        except BitstreamError as error:
            if error.path is None or error.bit_offset is None:
                raise Finding(f"no path or bit: {error!r}") from error
            if not 0 <= error.bit_offset <= 8 * len(octets):
                raise Finding(f"a bit outside the stream: {error}") from error


def _decode(octets: bytes) -> None:
    with np.errstate(all="ignore"):
        tensors = nnr_codec.decode(octets, limits=LIMITS, recompose=len(octets) % 2 == 0)
    size = sum(array.size for array in tensors.values())
    if size > 2 * (LIMITS.max_total_elements or 0):
        raise Finding(f"{size} elements, more than allowed")


def _describe(octets: bytes) -> None:
    nnr_codec.describe(octets, limits=LIMITS)


def _dump(octets: bytes) -> None:
    view = ("summary", "tree", "tensors", "stats")[len(octets) % 4]
    for _ in Dump(Survey(octets, limits=LIMITS, payloads=True), "stream", Paint(False, 80, False)).lines(
        view, "text"
    ):
        pass


def structure(octets: bytes) -> None:
    """Change elements of a vector, rebuild it, and run the readers on it."""
    choices = Choices(octets)
    stream = choices.one_of(seeds())
    decoder(mutated(stream, choices))


def mutated(stream: bytes, choices: Choices) -> bytes:
    """Rebuild a stream with changed elements, moved units and flipped bits."""
    state, units = SyntaxState(), []
    try:
        for span in iter_unit_spans(stream):
            tree = parse_tree(stream, span, state)
            kept = stream[span.byte_offset : span.byte_offset + span.size_bytes]
            units.append((tree, state, kept))
            state = state.after(parse_unit(stream, span, state))
    except BitstreamError:
        pass
    if not units:
        return stream + choices.unread()
    for _ in range(1 + choices.below(3)):
        index = choices.below(len(units))
        tree, before, kept = units[index]
        action = choices.below(8)
        if action == 0:
            units.insert(choices.below(len(units) + 1), units[index])
        elif action == 1:
            del units[index]
            if not units:
                return choices.unread()
        else:
            units[index] = (tree, before, _rebuilt(tree, before, kept, choices))
    whole = bytearray(b"".join(kept for _, _, kept in units))
    for _ in range(choices.below(3)):
        bit = choices.below(max(1, 8 * len(whole)))
        if whole:
            whole[bit >> 3] ^= 0x80 >> (bit & 7)
    return bytes(whole)


def _rebuilt(tree: dict[str, Any], before: SyntaxState, kept: bytes, choices: Choices) -> bytes:
    places = list(_leaves(tree))
    if not places:
        return kept
    table, key = choices.one_of(places)
    value = table[key]
    if isinstance(value, int):
        table[key] = choices.one_of((*_EDGES, value + 1, value - 1, -value, value ^ 1 << choices.below(8)))
    elif isinstance(value, str):
        table[key] = choices.one_of(("", value + "_G", value * 2, "a" * 5000, value[:-1]))
    elif isinstance(value, bytes | memoryview):
        cut = choices.below(len(value) + 1)
        table[key] = bytes(value[:cut]) + choices.unread()[: choices.below(16)]
    elif isinstance(value, list) and value:
        value.append(value[choices.below(len(value))])
    unsized = {name: entry for name, entry in tree.items() if not name.startswith("nnr_unit_size")}
    try:
        return build_tree(unsized if choices.below(4) else tree, before)
    except NotEncodable:
        # Restore the value of a change that cannot be written.
        table[key] = value
        return kept
    finally:
        if isinstance(value, list):
            del value[-1:]


def _leaves(node: Any) -> Any:
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(value, dict):
            yield from _leaves(value)
        else:
            yield node, key
            if isinstance(value, list):
                yield from _leaves(value)


def encoder(octets: bytes) -> None:
    """Check that an encoded model decodes to the same names, shapes, dtypes, integers and levels."""
    choices = Choices(octets)
    tensors = {f"t{index}": _tensor(choices) for index in range(1 + choices.below(3))}
    options: dict[str, Any] = {
        "qp": choices.below(60) - 45,
        "dependent": bool(choices.below(2)),
        "scan_order": choices.below(5),
        "effort": choices.one_of(("fast", "medium", "slow")),
    }
    try:
        with np.errstate(all="ignore"):
            stream = nnr_codec.encode(tensors, checksum=bool(choices.below(2)), **options)
    except NotEncodable:
        return
    decoded = nnr_codec.decode(stream)
    if list(decoded) != list(tensors):
        raise Finding(f"names {list(decoded)} for {list(tensors)}")
    for name, array in tensors.items():
        result = decoded[name]
        if result.shape != array.shape or result.dtype != array.dtype:
            raise Finding(f"{name}: {result.dtype}{result.shape} for {array.dtype}{array.shape}")
        if array.dtype.kind in "iub" and not np.array_equal(result, array):
            raise Finding(f"{name}: integers differ")
        if array.dtype == np.float32 and not np.array_equal(np.isfinite(result), np.isfinite(array)):
            raise Finding(f"{name}: the positions of non-finite values differ")
    levels = nnr_codec.decode(stream, dequantize=False)
    for name, tensor in levels.items():
        if isinstance(tensor, nnr_codec.QuantizedTensor) and tensor.qp is not None:
            values = np.asarray(tensor.dequantize(), np.float32)
            if decoded[name].dtype == np.float32 and not np.array_equal(
                values.reshape(decoded[name].shape), decoded[name], equal_nan=True
            ):
                raise Finding(f"{name}: levels and values differ")


def _tensor(choices: Choices) -> np.ndarray[Any, Any]:
    shape = tuple(choices.below(6) if choices.below(8) else 20 for _ in range(choices.below(4)))
    dtype = choices.one_of(
        (np.float32, np.float32, np.float16, np.float64, np.int8, np.int32, np.int64, np.uint8, np.bool_)
    )
    random = np.random.default_rng(choices.below(1 << 16))
    values = random.laplace(0, choices.one_of((0.01, 1.0, 1e4, 1e-30)), shape)
    if choices.below(4) == 0:
        values = np.where(
            random.random(shape) < 0.3, choices.one_of((0.0, np.inf, -np.inf, np.nan, 3e38)), values
        )
    with np.errstate(all="ignore"):
        return (
            np.nan_to_num(values, posinf=1e9, neginf=-1e9).astype(dtype)
            if np.dtype(dtype).kind in "iub"
            else values.astype(dtype)
        )


TARGETS: dict[str, Callable[[bytes], None]] = {"decoder": decoder, "structure": structure, "encoder": encoder}


def checked(target: Callable[[bytes], None], octets: bytes) -> None:
    """Run a target once, and check its processor time and the memory of the process."""
    started = time.process_time()
    target(octets)
    seconds = time.process_time() - started
    if seconds > SLOW_SECONDS:
        raise Finding(f"{seconds:.2f} s of processor time")
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if resident > MOST_RESIDENT_BYTES:
        raise Finding(f"{resident >> 20} MiB resident")
