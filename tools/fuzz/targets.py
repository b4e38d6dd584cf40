# SPDX-License-Identifier: Apache-2.0
"""What is fuzzed in Python, each a function of bytes that raises where something is wrong.

``decoder`` takes any bytes as a stream; ``structure`` changes syntax elements of a conformance vector and builds it again;
``encoder`` makes a model and options, encodes and decodes. The last two read their choices from the bytes, so that a fuzzer
that is led by coverage leads them too.
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

#: Small enough that one execution takes milliseconds, large enough that vectors pass.
LIMITS = Limits(
    max_tensor_elements=1 << 14, max_total_elements=1 << 15, max_topology_bytes=1 << 20, max_units=1 << 10
)
SLOW_SECONDS = 1.0
MOST_RESIDENT_BYTES = 1 << 29

#: Integers where something changes: widths of fields, limits, signs.
_EDGES = (0, 1, 2, 3, 7, 8, 9, 31, 32, 127, 128, 255, 256, 1 << 15, (1 << 16) - 1, 1 << 31, (1 << 32) - 1)


class Finding(AssertionError):
    """A property that does not hold."""


class Choices:
    """Bytes as a source of choices; behind their end every choice is the first."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def below(self, count: int) -> int:
        """A number from 0 to count - 1."""
        n_bytes = 1 if count <= 256 else 2 if count <= 1 << 16 else 4
        piece = self._octets[self._at : self._at + n_bytes]
        self._at += n_bytes
        return int.from_bytes(piece, "big") % count

    def one_of(self, options: Any) -> Any:
        """One of a sequence."""
        return options[self.below(len(options))]

    def left(self) -> bytes:
        """What was not used."""
        return self._octets[self._at :]


@cache
def seeds() -> list[bytes]:
    """The streams of the conformance vectors, one after the other."""
    return [stream for _, streams in vectors() for stream in streams]


def decoder(octets: bytes) -> None:
    """Whatever reads streams gives a result or an error with a place."""
    # A dump costs as much as four decodings: one input in eight has one.
    for read in (_decode, _describe, *((_dump,) if sum(octets) % 8 == 0 else ())):
        try:
            read(octets)
        except InternalError:
            raise
        except BitstreamError as error:
            if error.path is None or error.bit_offset is None:
                raise Finding(f"no place: {error!r}") from error
            if not 0 <= error.bit_offset <= 8 * len(octets):
                raise Finding(f"a place outside the stream: {error}") from error


def _decode(octets: bytes) -> None:
    with np.errstate(all="ignore"):
        found = nnr_codec.decode(octets, limits=LIMITS, recompose=len(octets) % 2 == 0)
    size = sum(array.size for array in found.values())
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
    """Change some elements of a vector, build it again, and read that."""
    choices = Choices(octets)
    stream = choices.one_of(seeds())
    decoder(mutated(stream, choices))


def mutated(stream: bytes, choices: Choices) -> bytes:
    """Build a stream again with elements changed, units moved and bits flipped."""
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
        return stream + choices.left()
    for _ in range(1 + choices.below(3)):
        index = choices.below(len(units))
        tree, before, kept = units[index]
        action = choices.below(8)
        if action == 0:
            units.insert(choices.below(len(units) + 1), units[index])
        elif action == 1:
            del units[index]
            if not units:
                return choices.left()
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
    old = table[key]
    if isinstance(old, int):
        table[key] = choices.one_of((*_EDGES, old + 1, old - 1, -old, old ^ 1 << choices.below(8)))
    elif isinstance(old, str):
        table[key] = choices.one_of(("", old + "_G", old * 2, "a" * 5000, old[:-1]))
    elif isinstance(old, bytes | memoryview):
        cut = choices.below(len(old) + 1)
        table[key] = bytes(old[:cut]) + choices.left()[: choices.below(16)]
    elif isinstance(old, list) and old:
        old.append(old[choices.below(len(old))])
    unsized = {name: value for name, value in tree.items() if not name.startswith("nnr_unit_size")}
    try:
        return build_tree(unsized if choices.below(4) else tree, before)
    except NotEncodable:
        # Not every change can be written; the old value goes back.
        table[key] = old
        return kept
    finally:
        if isinstance(old, list):
            del old[-1:]


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
    """Whatever is encoded decodes to the same levels, and to values as near as the step says."""
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
    found = nnr_codec.decode(stream)
    if list(found) != list(tensors):
        raise Finding(f"names {list(found)} for {list(tensors)}")
    for name, array in tensors.items():
        again = found[name]
        if again.shape != array.shape or again.dtype != array.dtype:
            raise Finding(f"{name}: {again.dtype}{again.shape} for {array.dtype}{array.shape}")
        if array.dtype.kind in "iub" and not np.array_equal(again, array):
            raise Finding(f"{name}: integers differ")
        if array.dtype == np.float32 and not np.array_equal(np.isfinite(again), np.isfinite(array)):
            raise Finding(f"{name}: numbers that are none moved")
    levels = nnr_codec.decode(stream, dequantize=False)
    for name, tensor in levels.items():
        if isinstance(tensor, nnr_codec.QuantizedTensor) and tensor.qp is not None:
            values = np.asarray(tensor.dequantize(), np.float32)
            if found[name].dtype == np.float32 and not np.array_equal(
                values.reshape(found[name].shape), found[name], equal_nan=True
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
    """Run a target once, and hold its time and the process's memory against what is promised."""
    started = time.process_time()
    target(octets)
    seconds = time.process_time() - started
    if seconds > SLOW_SECONDS:
        raise Finding(f"{seconds:.2f} s of processor time")
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if resident > MOST_RESIDENT_BYTES:
        raise Finding(f"{resident >> 20} MiB resident")
