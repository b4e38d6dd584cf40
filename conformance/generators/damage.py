# SPDX-License-Identifier: Apache-2.0
"""Derivation of invalid vectors from valid ones, by one fault each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnr_conformance.expectation import Stage

from conformance.generators.case import Collection, Fault, error_classes
from nnr_codec.syntax import Trace, iter_unit_spans, parse_tree, parse_unit
from nnr_codec.syntax.state import SyntaxState

Parents = dict[str, Any]


class Damager:
    """Declares invalid cases; parents are vectors of the other suites."""

    def __init__(self, suite: Collection, parents: Parents) -> None:
        self.suite = suite
        self.parents = parents

    def of(self, parent: str) -> bytes:
        """Stream of a valid single-stream vector."""
        [stream] = self.parents[parent].streams
        return bytes(stream)

    def add(self, name: str, purpose: str, features: str, streams: bytes | Sequence[bytes], classes: str, stage: Stage,
            *, parent: str, mutation: str, element: str | None = None, bits: tuple[int, int] | None = None,
            stream: int = 0, **rest: Any) -> None:  # fmt: skip
        """Declare a case that must be rejected."""
        fault = Fault(error_classes(classes), stage, element, bits, parent, mutation, stream)
        rest.setdefault("profile", self.parents[parent].profile)
        if element is not None:
            rest["elements"] = (*rest.get("elements", ()), element)
        self.suite.add(name, purpose, features, streams, verdict="reject", fault=fault, **rest)

    def edit(self, name: str, purpose: str, features: str, parent: str, path: str, value: Any, classes: str = "malformed",
             stage: Stage = "header", **rest: Any) -> None:  # fmt: skip
        """Declare the parent with another value at a path of its syntax."""
        octets, place = written_over(self.of(parent), path, value)
        element = path.rpartition(".")[2].partition("[")[0]
        element = {"nnr_reserved_zero_1bit_2": "nnr_reserved_zero_1bit"}.get(element, element)
        self.add(name, purpose, features, octets, classes, stage, parent=parent, mutation=f"{path}={value}", element=element,
                 bits=rest.pop("bits", place), **rest)  # fmt: skip


def events_of(stream: bytes) -> Trace:
    """Trace of a valid stream."""
    state, trace = SyntaxState(), Trace()
    for span in iter_unit_spans(stream):
        state = state.after(parse_unit(stream, span, state, trace))
    return trace


def written_over(stream: bytes, path: str, value: int) -> tuple[bytes, tuple[int, int]]:
    """Overwrite the bits of an element; returns the stream and the bits [begin, end]."""
    event = events_of(stream).by_path(path)
    if event is None:
        raise LookupError(f"no {path}; known: {[e.path for e in events_of(stream)]}")
    begin, n_bits = event.bit_offset, event.n_bits
    whole = int.from_bytes(stream, "big")
    shift = 8 * len(stream) - begin - n_bits
    if not 0 <= value < 1 << n_bits:
        raise ValueError(f"{value} does not fit {path}")
    whole = whole & ~(((1 << n_bits) - 1) << shift) | value << shift
    return whole.to_bytes(len(stream), "big"), (begin, begin + n_bits)


def rebuilt(stream: bytes, index: int, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Rebuild a stream with a changed syntax tree of one unit; the unit size is updated."""
    from nnr_codec.syntax import build_tree

    state, pieces = SyntaxState(), []
    for span in iter_unit_spans(stream):
        unit = stream[span.byte_offset : span.byte_offset + span.size_bytes]
        tree = parse_tree(stream, span, state)
        state_before, state = state, state.after(parse_unit(stream, span, state))
        if span.index == index:
            tree = {
                key: value for key, value in unaligned(tree).items() if not key.startswith("nnr_unit_size")
            }
            change(tree)
            unit = build_tree(tree, state_before)
        pieces.append(unit)
    return b"".join(pieces)


def assigned(element: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Create the change that assigns a value to an element."""

    def change(tree: dict[str, Any]) -> None:
        tree[element] = value

    return change


def unaligned(tree: dict[str, Any]) -> dict[str, Any]:
    """Drop alignments, so that building creates them."""
    return {
        key: unaligned(value) if isinstance(value, dict) else value
        for key, value in tree.items()
        if key != "byte_alignment"
    }


def with_unit(stream: bytes, index: int, octets: bytes) -> bytes:
    """Insert bytes before a unit."""
    spans = list(iter_unit_spans(stream))
    at = spans[index].byte_offset if index < len(spans) else len(stream)
    return stream[:at] + octets + stream[at:]


def without_unit(stream: bytes, index: int) -> bytes:
    """Remove a unit."""
    span = list(iter_unit_spans(stream))[index]
    return stream[: span.byte_offset] + stream[span.byte_offset + span.size_bytes :]


def resized(stream: bytes, index: int, extra: bytes | int) -> bytes:
    """Append bytes to a unit, or remove a number of bytes from its end; the size field is updated."""
    span = list(iter_unit_spans(stream))[index]
    begin, end = span.byte_offset, span.byte_offset + span.size_bytes
    body = stream[begin + span.header_offset : end]
    body = body[:-extra] if isinstance(extra, int) else body + extra
    return stream[:begin] + size_field(len(body)) + body + stream[end:]


def size_field(n_bytes: int) -> bytes:
    """Short size field of a unit with ``n_bytes`` after it."""
    return (n_bytes + 2).to_bytes(2, "big")


PLAIN0, PLAIN1 = "core/framing/plain", "extended/framing/plain"
