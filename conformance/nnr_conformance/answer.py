# SPDX-License-Identifier: Apache-2.0
"""A decoder's answer about one stream, independent of its interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nnr_conformance.arrays import Array, digest
from nnr_conformance.expectation import SHA256, ErrorClass, Stage
from nnr_conformance.json_schema import json_field

REPORT_FORMAT: Literal["nnr-conformance-report/1"] = "nnr-conformance-report/1"


@dataclass(frozen=True, kw_only=True)
class TensorDigest:
    """Digest of a tensor."""

    dtype: str = json_field("NumPy type name; levels are int32.", default="int32")
    shape: tuple[int, ...] = json_field("Dimensions.", minimum=0)
    sha256: str = json_field("SHA-256 of the little-endian bytes in C order.", pattern=SHA256)


@dataclass(frozen=True, kw_only=True)
class BytesDigest:
    """Digest of a byte string."""

    size_bytes: int = json_field("Length in bytes.", minimum=0)
    sha256: str = json_field("SHA-256 of its bytes.", pattern=SHA256)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Optional JSON document about one stream; the whole output of a decoder that only hashes."""

    format: Literal["nnr-conformance-report/1"] = json_field("Name and version of the file format.")
    tensors: dict[str, TensorDigest] = json_field("Values by tensor name.", default=None)
    levels: dict[str, TensorDigest] = json_field("Levels by tensor name.", default=None)
    units: tuple[dict[str, int], ...] | None = json_field(
        "Units in order: nnr_unit_type, byte_offset, nnr_unit_size.", default=None
    )
    arithmetic: dict[str, dict[str, Any]] = json_field(
        "By tensor name, after its last bin: range, offset, bit_offset, contexts_sha256.", default=None
    )
    topology: tuple[BytesDigest, ...] | None = json_field(
        "topology_data of each topology unit, in order.", default=None
    )
    reencode: BytesDigest | None = json_field("Stream rebuilt from its parsed form.", default=None)


@dataclass
class Answer:
    """One decoded stream. Values are mandatory; other layers are scored when present.

    Parameters
    ----------
    values : dict of str to array
        Reconstructed tensors as the stream carries them.
    levels : dict of str to int32 array
        Integer levels.
    bits : dict of str to uint32 array
        Bit of the stream at which each level begins; shown by ``explain`` only.
    recompositions : dict of str to float32 array
        Weights with local scaling and factors multiplied in, by the name of the weight or of G without its ending ``_G``.
    report : Report, optional
        Layers that are not arrays.
    trace : str, optional
        Syntax trace in the line format of the contract.
    bins : str, optional
        Bin trace in the line format of the contract; shown by ``explain`` only.
    """

    values: dict[str, Array] = field(default_factory=dict)
    levels: dict[str, Array] = field(default_factory=dict)
    bits: dict[str, Array] = field(default_factory=dict)
    recompositions: dict[str, Array] = field(default_factory=dict)
    report: Report | None = None
    trace: str | None = None
    bins: str | None = None

    def hashed_values(self) -> dict[str, TensorDigest]:
        """Digest every value tensor, from its array or else from the report."""
        digests = dict(self.report.tensors or {}) if self.report else {}
        return digests | {name: tensor_digest(array) for name, array in self.values.items()}

    def hashed_levels(self) -> dict[str, TensorDigest]:
        """Digest every level tensor, from its array or else from the report."""
        digests = dict(self.report.levels or {}) if self.report else {}
        return digests | {name: tensor_digest(array) for name, array in self.levels.items()}


def tensor_digest(array: Array) -> TensorDigest:
    """Digest an array as a report does."""
    return TensorDigest(dtype=array.dtype.name, shape=array.shape, sha256=digest(array))


class Rejected(Exception):
    """Rejection of a stream; raised by Python decoders.

    Parameters
    ----------
    error_class : {"truncated", "malformed", "unsupported", "limit"}, optional
        Class of the fault; None is not scored.
    bit_offset : int, optional
        Position of the fault in bits; bit 0 is the most significant bit of the first byte.
    stage : str, optional
        Stage of decoding that failed.
    stream : int, optional
        Index of the stream at fault in a sequence.
    answers : sequence of Answer, optional
        Partial output: what was decoded of each stream; shown by ``explain`` only.
    """

    def __init__(
        self,
        message: str = "",
        *,
        error_class: ErrorClass | None = None,
        bit_offset: int | None = None,
        stage: Stage | None = None,
        stream: int | None = None,
        answers: Sequence[Answer] = (),
    ) -> None:
        super().__init__(message)
        self.rejection = Rejection(
            error_class=error_class, bit_offset=bit_offset, stage=stage, stream=stream, message=message
        )
        self.answers = list(answers)


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """Details of a rejection as reported by a decoder."""

    error_class: ErrorClass | None = json_field("Class of the fault.", key="class", default=None)
    bit_offset: int | None = json_field("Position of the fault in bits.", default=None, minimum=0)
    stage: Stage | None = json_field("Stage of decoding that failed.", default=None)
    stream: int | None = json_field("Index of the stream at fault.", default=None, minimum=0)
    message: str = json_field("Text for people.", default="")


class Unsupported(Exception):
    """Missing feature that a stream needs; raised by Python decoders."""
