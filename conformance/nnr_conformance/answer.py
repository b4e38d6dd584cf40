# SPDX-License-Identifier: Apache-2.0
"""What a decoder says about one stream, whichever way it came in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from nnr_conformance.arrays import Array, digest
from nnr_conformance.expectation import SHA256, ErrorClass, Stage
from nnr_conformance.record import item

REPORT_FORMAT: Literal["nnr-conformance-report/1"] = "nnr-conformance-report/1"


@dataclass(frozen=True, kw_only=True)
class HashedTensor:
    """A tensor told by its digest."""

    dtype: str = item("NumPy type name; levels are int32.", default="int32")
    shape: tuple[int, ...] = item("Its dimensions.", minimum=0)
    sha256: str = item("SHA-256 of the little-endian bytes in C order.", pattern=SHA256)


@dataclass(frozen=True, kw_only=True)
class FoundBytes:
    """A byte string told by its digest."""

    size_bytes: int = item("Its length.", minimum=0)
    sha256: str = item("SHA-256 of its bytes.", pattern=SHA256)


@dataclass(frozen=True, kw_only=True)
class Report:
    """The optional JSON document about one stream; for a decoder that only hashes, its whole output."""

    format: Literal["nnr-conformance-report/1"] = item("The format of this file.")
    tensors: dict[str, HashedTensor] = item("Values by tensor name.", default=None)
    levels: dict[str, HashedTensor] = item("Levels by tensor name.", default=None)
    units: tuple[dict[str, int], ...] | None = item(
        "Units in order: nnr_unit_type, byte_offset, nnr_unit_size.", default=None
    )
    arithmetic: dict[str, dict[str, Any]] = item(
        "By tensor name, after its last bin: range, offset, bit_offset, contexts_sha256.", default=None
    )
    topology: tuple[FoundBytes, ...] | None = item(
        "topology_data of each topology unit, in order.", default=None
    )
    reencode: FoundBytes | None = item("The stream built again from its parsed form.", default=None)


@dataclass
class Answer:
    """One decoded stream. Only what is there is scored; the values have to be.

    Parameters
    ----------
    values : dict of str to array
        The reconstructed tensors as the stream carries them.
    levels : dict of str to int32 array
        The integer levels.
    bits : dict of str to uint32 array
        The bit of the stream at which each level begins; only ``explain`` reads it.
    report : Report, optional
        Everything that is not an array.
    trace : str, optional
        The syntax trace, in the contract's line format.
    """

    values: dict[str, Array] = field(default_factory=dict)
    levels: dict[str, Array] = field(default_factory=dict)
    bits: dict[str, Array] = field(default_factory=dict)
    report: Report | None = None
    trace: str | None = None

    def hashed_values(self) -> dict[str, HashedTensor]:
        """Dtype, shape and digest of every value tensor, from the arrays or else from the report."""
        told = dict(self.report.tensors or {}) if self.report else {}
        return told | {name: hashed(array) for name, array in self.values.items()}

    def hashed_levels(self) -> dict[str, HashedTensor]:
        """The same of the levels."""
        told = dict(self.report.levels or {}) if self.report else {}
        return told | {name: hashed(array) for name, array in self.levels.items()}


def hashed(array: Array) -> HashedTensor:
    """Describe an array as a report would."""
    return HashedTensor(dtype=array.dtype.name, shape=array.shape, sha256=digest(array))


class Rejected(Exception):
    """A Python decoder raises it for a stream that it rejects.

    Parameters
    ----------
    error_class : {"truncated", "malformed", "unsupported", "limit"}, optional
        What kind of fault; not told, not scored.
    bit_offset : int, optional
        Position in the stream, in bits from its first byte's most significant bit.
    stage : str, optional
        Where decoding stopped, as the contract names the stages.
    stream : int, optional
        Index of the stream at fault in a sequence.
    """

    def __init__(
        self,
        message: str = "",
        *,
        error_class: ErrorClass | None = None,
        bit_offset: int | None = None,
        stage: Stage | None = None,
        stream: int | None = None,
    ) -> None:
        super().__init__(message)
        self.rejection = Rejection(
            error_class=error_class, bit_offset=bit_offset, stage=stage, stream=stream, message=message
        )


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """What a decoder tells about why it rejects."""

    error_class: ErrorClass | None = item("The kind of fault.", key="class", default=None)
    bit_offset: int | None = item("Position in the stream.", default=None, minimum=0)
    stage: Stage | None = item("Where decoding stopped.", default=None)
    stream: int | None = item("Index of the stream at fault.", default=None, minimum=0)
    message: str = item("For people.", default="")


class Unsupported(Exception):
    """A Python decoder raises it for a stream that needs a feature it does not have."""
