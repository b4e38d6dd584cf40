# SPDX-License-Identifier: Apache-2.0
"""Expected results of one vector, in layers that are scored separately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nnr_conformance.json_schema import json_field

SHA256 = r"^[0-9a-f]{64}$"
ErrorClass = Literal["truncated", "malformed", "unsupported", "limit"]
Stage = Literal["framing", "header", "payload", "reconstruction", "sequence"]
DTYPE = r"^(u?int(8|16|32|64)|float(16|32|64))$"


@dataclass(frozen=True, kw_only=True)
class SuiteFile:
    """File of a suite."""

    file: str = json_field(
        "Path below the manifest's folder, with `/`.", pattern=r"^(?!.*\.\.)[A-Za-z0-9_][\w./-]*$"
    )
    size_bytes: int = json_field("Length in bytes.", minimum=0)
    sha256: str = json_field("SHA-256 of its bytes.", pattern=SHA256)


@dataclass(frozen=True, kw_only=True)
class ExpectedUnit:
    """Unit of a stream."""

    nnr_unit_type: int = json_field("Type of the unit.", minimum=0)
    byte_offset: int = json_field("Offset of the unit in the stream.", minimum=0)
    nnr_unit_size: int = json_field("Length in bytes, size field included.", minimum=0)


@dataclass(frozen=True, kw_only=True)
class ExpectedState:
    """State of the arithmetic decoder after the last bin of a tensor."""

    stream: int = json_field("Index of the stream in the vector.", default=0, minimum=0)
    unit: int | None = json_field("Index of the unit in the stream.", default=None, minimum=0)
    tensor: str = json_field("Name of the tensor.")
    range: int = json_field("9-bit range register.", minimum=0)
    offset: int = json_field("Offset register.", minimum=0)
    bit_offset: int | None = json_field("Number of bits of the stream read so far.", default=None, minimum=0)
    contexts_sha256: str | None = json_field(
        "SHA-256 over (s0, s1) of every context in index order, each int16 little-endian.",
        default=None,
        pattern=SHA256,
    )


@dataclass(frozen=True, kw_only=True)
class ExpectedLevels:
    """Integer levels of one tensor: int32, C order."""

    stream: int = json_field("Index of the stream in the vector.", default=0, minimum=0)
    unit: int | None = json_field("Index of the unit in the stream.", default=None, minimum=0)
    tensor: str = json_field("Name of the tensor.")
    shape: tuple[int, ...] = json_field("Dimensions.", minimum=0)
    sha256: str = json_field("SHA-256 of the little-endian bytes.", pattern=SHA256)


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """Tolerance of a value: abs(actual - expected) <= absolute + relative * abs(expected)."""

    absolute: float = json_field("Absolute tolerance.", default=0.0, minimum=0)
    relative: float = json_field("Relative tolerance.", default=0.0, minimum=0)
    reason: str = json_field("Reason why the value is not bit-exact.", pattern=r"\S")


@dataclass(frozen=True, kw_only=True)
class ExpectedValues:
    """Reconstructed values of one tensor: C order."""

    stream: int = json_field("Index of the stream in the vector.", default=0, minimum=0)
    unit: int | None = json_field("Index of the unit in the stream.", default=None, minimum=0)
    tensor: str = json_field("Name of the tensor.")
    dtype: str = json_field("NumPy type name.", pattern=DTYPE)
    shape: tuple[int, ...] = json_field("Dimensions.", minimum=0)
    sha256: str = json_field("SHA-256 of the little-endian bytes.", pattern=SHA256)
    tolerance: Tolerance | None = json_field("Tolerance; bit-exact if absent.", default=None)


@dataclass(frozen=True, kw_only=True)
class ExpectedTopology:
    """topology_data of one topology unit."""

    stream: int = json_field("Index of the stream in the vector.", default=0, minimum=0)
    unit: int | None = json_field("Index of the unit in the stream.", default=None, minimum=0)
    size_bytes: int = json_field("Length in bytes.", minimum=0)
    sha256: str = json_field("SHA-256 of its bytes.", pattern=SHA256)


@dataclass(frozen=True, kw_only=True)
class ExpectedError:
    """Expected rejection. Details that a decoder does not report are not scored."""

    classes: tuple[ErrorClass, ...] = json_field(
        "Acceptable error classes, that of the specification first.", min_items=1
    )
    stage: Stage | None = json_field("Stage of decoding that fails; not scored if absent.", default=None)
    limit_stage: Stage | None = json_field(
        "Stage of a rejection of class `limit`, where a limit is checked earlier than the fault shows.",
        default=None,
    )
    stream: int = json_field("Index of the stream at fault.", default=0, minimum=0)
    bits: tuple[int, ...] | None = json_field(
        "[begin, end]: bits of the violation; a reported position from begin to end is right.",
        default=None,
        minimum=0,
        min_items=2,
        max_items=2,
    )
    element: str | None = json_field("Syntax element at fault.", default=None)


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Expected verdict and layers; all layers are optional."""

    verdict: Literal["accept", "reject", "either"] = json_field("Expected verdict on the vector.")
    error: ExpectedError | None = json_field("Expected error of a rejection.", default=None)
    units: tuple[tuple[ExpectedUnit, ...], ...] | None = json_field("Units, per stream.", default=None)
    traces: tuple[SuiteFile, ...] | None = json_field("Syntax trace, per stream.", default=None)
    bins: tuple[SuiteFile, ...] | None = json_field(
        "Bin trace, per stream; for a few vectors. Only `explain` uses it.", default=None
    )
    arithmetic: tuple[ExpectedState, ...] | None = json_field(
        "State of the arithmetic decoder, per tensor.", default=None
    )
    levels: tuple[ExpectedLevels, ...] | None = json_field("Integer levels, in stream order.", default=None)
    values: tuple[ExpectedValues, ...] | None = json_field(
        "Reconstructed tensors, in stream order.", default=None
    )
    recompositions: tuple[ExpectedValues, ...] | None = json_field(
        "Weights with local scaling (4.5) and low-rank factors (4.6) multiplied in, in stream order.",
        default=None,
    )
    digests: tuple[str, ...] | None = json_field(
        "Digest of all reconstructed tensors, per stream; generated suites state it instead of `values`.",
        default=None,
        pattern=SHA256,
    )
    topology: tuple[ExpectedTopology, ...] | None = json_field(
        "Topology bytes, in stream order.", default=None
    )
    reencode: tuple[str, ...] | None = json_field(
        "SHA-256 of the stream rebuilt from its parsed form, per stream.",
        default=None,
        pattern=SHA256,
    )
    arrays: SuiteFile | None = json_field(
        "NPZ of the expected arrays, which locate the first divergence: keys `K/value:NAME`, `K/level:NAME` "
        "(int32), `K/recomposition:NAME` and `K/bit:NAME` (uint32, bit at which each level begins), with K the index of "
        "the stream.",
        default=None,
    )
