# SPDX-License-Identifier: Apache-2.0
"""What a decoder owes for one vector, in layers that are scored one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nnr_conformance.record import item

SHA256 = r"^[0-9a-f]{64}$"
ErrorClass = Literal["truncated", "malformed", "unsupported", "limit"]
Stage = Literal["framing", "header", "payload", "reconstruction", "sequence"]
DTYPE = r"^(u?int(8|16|32|64)|float(16|32|64))$"


@dataclass(frozen=True, kw_only=True)
class SuiteFile:
    """A file of the suite."""

    file: str = item(
        "Path below the manifest's folder, with `/`.", pattern=r"^(?!.*\.\.)[A-Za-z0-9_][\w./-]*$"
    )
    size_bytes: int = item("Its length.", minimum=0)
    sha256: str = item("SHA-256 of its bytes.", pattern=SHA256)


@dataclass(frozen=True, kw_only=True)
class ExpectedUnit:
    """One unit of a stream."""

    nnr_unit_type: int = item("Its type.", minimum=0)
    byte_offset: int = item("Where it starts in the stream.", minimum=0)
    nnr_unit_size: int = item("Its bytes, the size field included.", minimum=0)


@dataclass(frozen=True, kw_only=True)
class ExpectedState:
    """The arithmetic decoder's state after a tensor's last bin."""

    stream: int = item("Index of the stream in the vector.", default=0, minimum=0)
    unit: int | None = item("Index of the unit in the stream.", default=None, minimum=0)
    tensor: str = item("Name of the tensor.")
    range: int = item("The 9-bit range.", minimum=0)
    offset: int = item("The offset register.", minimum=0)
    bit_offset: int | None = item("Bits read, counted from the stream's first.", default=None, minimum=0)
    contexts_sha256: str | None = item(
        "SHA-256 over (s0, s1) of every context in index order, each int16 little-endian.",
        default=None,
        pattern=SHA256,
    )


@dataclass(frozen=True, kw_only=True)
class ExpectedLevels:
    """The integer levels of one tensor, int32, C order."""

    stream: int = item("Index of the stream in the vector.", default=0, minimum=0)
    unit: int | None = item("Index of the unit in the stream.", default=None, minimum=0)
    tensor: str = item("Name of the tensor.")
    shape: tuple[int, ...] = item("Its dimensions.", minimum=0)
    sha256: str = item("SHA-256 of the little-endian bytes.", pattern=SHA256)


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far a value may be off: abs(found - expected) <= absolute + relative * abs(expected)."""

    absolute: float = item("Absolute part.", default=0.0, minimum=0)
    relative: float = item("Relative part.", default=0.0, minimum=0)
    reason: str = item("Why the value is not bit-exact.", pattern=r"\S")


@dataclass(frozen=True, kw_only=True)
class ExpectedValues:
    """The reconstructed values of one tensor, C order."""

    stream: int = item("Index of the stream in the vector.", default=0, minimum=0)
    unit: int | None = item("Index of the unit in the stream.", default=None, minimum=0)
    tensor: str = item("Name of the tensor.")
    dtype: str = item("Its NumPy type name.", pattern=DTYPE)
    shape: tuple[int, ...] = item("Its dimensions.", minimum=0)
    sha256: str = item("SHA-256 of the little-endian bytes.", pattern=SHA256)
    tolerance: Tolerance | None = item("Absent: bit-exact.", default=None)


@dataclass(frozen=True, kw_only=True)
class ExpectedTopology:
    """The topology_data of one topology unit."""

    stream: int = item("Index of the stream in the vector.", default=0, minimum=0)
    unit: int | None = item("Index of the unit in the stream.", default=None, minimum=0)
    size_bytes: int = item("Its length.", minimum=0)
    sha256: str = item("SHA-256 of its bytes.", pattern=SHA256)


@dataclass(frozen=True, kw_only=True)
class ExpectedError:
    """Why the stream is to be rejected. What a decoder does not tell is not scored."""

    classes: tuple[ErrorClass, ...] = item("Acceptable classes, the specification's own first.", min_items=1)
    stage: Stage = item("Where decoding cannot go on.")
    stream: int = item("Index of the stream at fault.", default=0, minimum=0)
    bits: tuple[int, ...] | None = item(
        "[begin, end]: the violation's bits; a reported position may be either end or between.",
        default=None,
        minimum=0,
        min_items=2,
        max_items=2,
    )
    element: str | None = item("The syntax element at fault.", default=None)


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Every layer is optional but the verdict."""

    verdict: Literal["accept", "reject", "either"] = item("What the decoder does with the vector.")
    error: ExpectedError | None = item("For a rejection.", default=None)
    units: tuple[tuple[ExpectedUnit, ...], ...] | None = item("Per stream, its units.", default=None)
    traces: tuple[SuiteFile, ...] | None = item("Per stream, its syntax trace.", default=None)
    arithmetic: tuple[ExpectedState, ...] | None = item("Arithmetic decoder state per tensor.", default=None)
    levels: tuple[ExpectedLevels, ...] | None = item("Integer levels, in stream order.", default=None)
    values: tuple[ExpectedValues, ...] | None = item("Reconstructed tensors, in stream order.", default=None)
    topology: tuple[ExpectedTopology, ...] | None = item("Topology bytes, in stream order.", default=None)
    reencode: tuple[str, ...] | None = item(
        "Per stream, SHA-256 of the bytes that building from its parsed form gives.",
        default=None,
        pattern=SHA256,
    )
    arrays: SuiteFile | None = item(
        "NPZ with the expected arrays, so that the first divergence can be found: keys `K/value:NAME`, "
        "`K/level:NAME` (int32) and `K/bit:NAME` (uint32, where each level begins), K the stream's index.",
        default=None,
    )
