# SPDX-License-Identifier: Apache-2.0
"""Persistent decoders that speak JSON lines: a handshake, then one request and one reply per vector."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from nnr_conformance.answer import Answer, Rejection, Report
from nnr_conformance.decoders.command import last_line, name_exit
from nnr_conformance.decoders.decoder import Claims
from nnr_conformance.errors import SchemaError, StartError
from nnr_conformance.json_schema import from_json, json_field
from nnr_conformance.limits import Limits
from nnr_conformance.observation import Observation, Status
from nnr_conformance.output import OutputError, read_output, read_partial
from nnr_conformance.process import Process
from nnr_conformance.protocol import PROTOCOL

_START_SECONDS = 30.0
_MAX_LINE_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Hello:
    """Handshake message of the child."""

    type: Literal["hello"] = json_field("Message type.")
    protocol: Literal["nnr-conformance/1"] = json_field("Name and version of the protocol.")
    name: str = json_field("Name of the decoder.")
    version: str = json_field("Version of the decoder.", default="")
    profiles: tuple[int, ...] = json_field("Supported profiles.", default=(0, 1))
    without: tuple[str, ...] = json_field("Registered features that the decoder lacks.", default=())


@dataclass(frozen=True, kw_only=True)
class Reply:
    """Reply of the child to one request."""

    type: Literal["decoded", "rejected", "unsupported", "crashed"] = json_field("Outcome of the vector.")
    id: int = json_field("Id of the request.")
    reports: tuple[Report, ...] | None = json_field(
        "Report of each stream, instead of or beside output files.", default=None
    )
    error: Rejection | None = json_field("Reason of the rejection.", default=None)
    feature: str = json_field("Name of the unsupported feature.", default="")
    detail: str = json_field("Text of the exception that the decode function raised.", default="")
    at: str = json_field("Class name of the exception.", default="")


class _DiedError(Exception):
    pass


@dataclass
class JsonlDecoder:
    """Decoder that stays alive between vectors; it is restarted after a crash, a timeout or a kill."""

    argv: Sequence[str]
    claims: Claims = field(default_factory=Claims)
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: Process | None = field(default=None, init=False)
    _workspace: Path | None = field(default=None, init=False)
    _pending: bytes = field(default=b"", init=False)
    _n_requests: int = field(default=0, init=False)

    def start(self, workspace: Path, limits: Limits) -> None:
        """Start the child and exchange the handshake."""
        self._workspace = workspace
        self._pending = b""
        self._process = Process(
            self.argv, cwd=workspace, limits=limits, environment=self.environment, pipes=True,
            stderr=workspace / "decoder.stderr",
        )  # fmt: skip
        start_limits = replace(limits, seconds=_START_SECONDS, cpu_seconds=None, memory_bytes=1 << 62)
        try:
            self._send({"type": "hello", "protocol": PROTOCOL, "memory_bytes": limits.memory_bytes})
            line = self._receive(start_limits, time.monotonic() + _START_SECONDS)
            if isinstance(line, Observation):
                raise StartError(f"{self.argv[0]} sent no handshake: {line.status.value} {line.detail}")
            hello = from_json(Hello, json.loads(line), "hello")
        except (_DiedError, SchemaError, json.JSONDecodeError) as error:
            stderr = self._process.stderr_tail()
            self.close()
            raise StartError(f"{self.argv[0]} sent no handshake: {error}\n{stderr}".rstrip()) from error
        except StartError:
            self.close()
            raise
        self.claims = replace(
            self.claims,
            name=hello.name if self.claims.name == "decoder" else self.claims.name,
            version=hello.version or self.claims.version,
            profiles=tuple(p for p in self.claims.profiles if p in hello.profiles),
            without=tuple(sorted({*self.claims.without, *hello.without})),
        )

    def decode(
        self,
        streams: Sequence[Path],
        outputs: Sequence[Path],
        limits: Limits,
        dimensions: Mapping[str, Sequence[int]] | None = None,
    ) -> Observation:
        """Request the decoding of one vector."""
        if self._process is None:
            if self._workspace is None:
                raise StartError("the decoder was not started")
            self.start(self._workspace, limits)
        process = self._process
        if process is None:
            raise StartError("the decoder was not started")
        self._n_requests += 1
        start_time = time.monotonic()
        process.begin()
        try:
            self._send(
                {"type": "decode", "id": self._n_requests, "inputs": [str(path) for path in streams],
                 "outputs": [str(path) for path in outputs]} | ({"dimensions": dimensions} if dimensions else {})
            )  # fmt: skip
            line = self._receive(limits, start_time + limits.seconds)
            seen = line if isinstance(line, Observation) else self._observe(line, outputs)
        except _DiedError:
            process.wait(limits, deadline=time.monotonic() + 1)
            detail = last_line(process.stderr_tail())
            seen = Observation(Status.CRASHED, at=name_exit(process.returncode), detail=detail)
        seen.seconds, seen.cpu_seconds = time.monotonic() - start_time, process.cpu_seconds
        seen.peak_memory_bytes = process.peak_memory_bytes
        if seen.status in (Status.DECODED, Status.REJECTED, Status.UNSUPPORTED):
            seen.n_orphans = process.remove_strays()
        else:
            self.close()
        return seen

    def close(self) -> None:
        """Close the child's stdin, then kill it with its descendants."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
            process.kill()

    def _send(self, message: dict[str, Any]) -> None:
        if self._process is None:
            raise _DiedError
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise _DiedError("the decoder ended before the request") from error

    def _receive(self, limits: Limits, deadline: float) -> bytes | Observation:
        """Read one line, or report the event that prevented it."""
        process = self._process
        if process is None:
            raise _DiedError
        while b"\n" not in self._pending:
            end = process.wait(limits, readable=True, deadline=deadline)
            if end == "timeout":
                return Observation(Status.TIMED_OUT, detail=f"{process.cpu_seconds:.1f} s of CPU")
            if end == "oom":
                return Observation(Status.OUT_OF_MEMORY, detail=f"{process.peak_memory_bytes >> 20} MiB")
            chunk = os.read(process.stdout.fileno(), 1 << 20)
            if not chunk:
                raise _DiedError("the decoder closed its output")
            self._pending += chunk
            if len(self._pending) > _MAX_LINE_BYTES:
                return Observation(
                    Status.BROKE_CONTRACT, at="protocol", detail=f"a line longer than {_MAX_LINE_BYTES} bytes"
                )
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _observe(self, line: bytes, outputs: Sequence[Path]) -> Observation:
        try:
            reply = from_json(Reply, json.loads(line), "reply")
        except (SchemaError, ValueError, RecursionError) as error:
            shown = line[:80].decode("utf-8", "replace")
            return Observation(Status.BROKE_CONTRACT, at="protocol", detail=f"{error} in {shown!r}")
        if reply.id != self._n_requests:
            detail = f"a reply to request {reply.id}, not {self._n_requests}"
            return Observation(Status.BROKE_CONTRACT, at="protocol", detail=detail)
        if reply.type == "rejected":
            return Observation(Status.REJECTED, read_partial(outputs), rejection=reply.error)
        if reply.type == "unsupported":
            return Observation(Status.UNSUPPORTED, detail=reply.feature)
        if reply.type == "crashed":
            status = Status.OUT_OF_MEMORY if reply.at == "MemoryError" else Status.CRASHED
            return Observation(
                status, at="" if status is Status.OUT_OF_MEMORY else reply.at, detail=reply.detail
            )
        try:
            return Observation(Status.DECODED, _collect_answers(reply.reports, outputs))
        except OutputError as error:
            return Observation(Status.BROKE_CONTRACT, at="output", detail=str(error))


def _collect_answers(reports: tuple[Report, ...] | None, outputs: Sequence[Path]) -> list[Answer]:
    if reports is None:
        return [read_output(path) for path in outputs]
    if len(reports) != len(outputs):
        raise OutputError(f"{len(reports)} reports for {len(outputs)} streams")
    answers = []
    for report, path in zip(reports, outputs, strict=True):
        answer = read_output(path) if path.exists() else Answer()
        answer.report = report
        answers.append(answer)
    return answers
