# SPDX-License-Identifier: Apache-2.0
"""Decoders behind a command-line template, one process per vector."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from nnr_conformance.answer import Rejection
from nnr_conformance.decoders.decoder import Claims
from nnr_conformance.errors import UsageError
from nnr_conformance.expectation import ErrorClass, Stage
from nnr_conformance.limits import Limits
from nnr_conformance.observation import Observation, Status
from nnr_conformance.output import OutputError, read_output, read_partial
from nnr_conformance.process import Process
from nnr_conformance.protocol import EXIT_DECODED, EXIT_REJECTED, EXIT_UNSUPPORTED

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_KNOWN = {"input", "output", "inputs", "outputs", "output_dir", "shape"}


@dataclass
class CommandDecoder:
    """Decoder started once per vector from a command-line template.

    Parameters
    ----------
    template : sequence of str
        Arguments with placeholders: ``{input}`` and ``{output}`` for one stream; ``{inputs}`` and
        ``{outputs}``, each an argument of its own, for any number; ``{output_dir}`` instead of ``{outputs}``.
    """

    template: Sequence[str]
    claims: Claims = field(default_factory=Claims)
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: Process | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        names = [name for part in self.template for name in _PLACEHOLDER.findall(part)]
        if unknown := [name for name in names if name not in _KNOWN]:
            raise UsageError(
                f"the command has an unknown placeholder {{{unknown[0]}}}; known: {', '.join(sorted(_KNOWN))}"
            )
        for part in self.template:
            if part not in ("{inputs}", "{outputs}") and ("{inputs}" in part or "{outputs}" in part):
                raise UsageError(f"{{inputs}} and {{outputs}} must be whole arguments, not part of {part!r}")
        if not {"input", "inputs"} & set(names) or not {"output", "outputs", "output_dir"} & set(names):
            raise UsageError(
                "the command needs {input} or {inputs}, and one of {output}, {outputs} and {output_dir}"
            )

    @property
    def takes_sequences(self) -> bool:
        """True if the template accepts several streams."""
        several_out = any(part == "{outputs}" or "{output_dir}" in part for part in self.template)
        return several_out and "{inputs}" in self.template

    def start(self, workspace: Path, limits: Limits) -> None:
        """Do nothing: every vector starts its own process."""

    def decode(
        self,
        streams: Sequence[Path],
        outputs: Sequence[Path],
        limits: Limits,
        dimensions: Mapping[str, Sequence[int]] | None = None,
    ) -> Observation:
        """Run the command on one vector."""
        if dimensions and not any("{shape}" in part for part in self.template):
            return Observation(Status.UNSUPPORTED, detail="the command takes no shapes ({shape} takes them)")
        if len(streams) > 1 and not self.takes_sequences:
            return Observation(
                Status.UNSUPPORTED, detail="the command takes one stream ({inputs} takes several)"
            )
        start_time = time.monotonic()
        process = Process(
            self.expand(streams, outputs, dimensions),
            cwd=outputs[0].parent,
            limits=limits,
            environment=self.environment,
            stderr=outputs[0].parent / "stderr",
        )
        self._process = process
        try:
            end = process.wait(limits, deadline=start_time + limits.seconds)
            seconds = time.monotonic() - start_time
            n_orphans = process.remove_strays() if end == "ended" else 0
        finally:
            process.kill()
            self._process = None
        if end == "timeout":
            seen = Observation(
                Status.TIMED_OUT, detail=f"{seconds:.1f} s, {process.cpu_seconds:.1f} s of CPU"
            )
        elif end == "oom":
            seen = Observation(Status.OUT_OF_MEMORY, detail=f"{process.peak_memory_bytes >> 20} MiB")
        else:
            seen = _observe_exit(process, outputs)
        seen.seconds, seen.cpu_seconds = seconds, process.cpu_seconds
        seen.peak_memory_bytes, seen.n_orphans = process.peak_memory_bytes, n_orphans
        return seen

    def expand(
        self,
        streams: Sequence[Path],
        outputs: Sequence[Path],
        dimensions: Mapping[str, Sequence[int]] | None = None,
    ) -> list[str]:
        """Fill in the placeholders of the template; a part with ``{shape}`` is repeated for every shape."""
        shapes = [f"{name}={'x'.join(map(str, shape))}" for name, shape in (dimensions or {}).items()]
        single = {"input": str(streams[0]), "output": str(outputs[0]), "output_dir": str(outputs[0].parent)}
        argv: list[str] = []
        for part in self.template:
            if part == "{inputs}":
                argv += map(str, streams)
            elif part == "{outputs}":
                argv += map(str, outputs)
            elif "{shape}" in part:
                argv += [part.replace("{shape}", shape) for shape in shapes]
            else:
                argv.append(_PLACEHOLDER.sub(lambda match: single[match[1]], part))
        return argv

    def close(self) -> None:
        """Kill the running process, if any."""
        if self._process is not None:
            self._process.kill()


def _observe_exit(process: Process, outputs: Sequence[Path]) -> Observation:
    code = process.returncode
    stderr = process.stderr_tail()
    if code == EXIT_DECODED:
        try:
            return Observation(Status.DECODED, [read_output(path) for path in outputs])
        except OutputError as error:
            return Observation(Status.BROKE_CONTRACT, at="output", detail=str(error))
    if code == EXIT_REJECTED:
        return Observation(Status.REJECTED, read_partial(outputs), rejection=parse_rejection(stderr))
    if code == EXIT_UNSUPPORTED:
        return Observation(Status.UNSUPPORTED, detail=last_line(stderr))
    return Observation(Status.CRASHED, at=name_exit(code), detail=last_line(stderr))


def name_exit(code: int | None) -> str:
    """Name an exit: ``SIGSEGV`` for a signal, ``exit 42`` for a code; 128 + N, from a shell, is signal N."""
    if code is None:
        return "ended"
    number = -code if code < 0 else code - 128 if 128 < code <= 128 + 64 else 0
    with contextlib.suppress(ValueError):
        if number:
            return signal.Signals(number).name
    return f"exit {code}"


def parse_rejection(stderr: str) -> Rejection:
    """Read the optional last line ``nnr-error: CLASS [bit=N] [stage=S] [stream=K] [text]`` of stderr."""
    for line in reversed(stderr.splitlines()):
        if line.startswith("nnr-error:"):
            words = line.removeprefix("nnr-error:").split()
            fields: dict[str, str] = {}
            while words and (words[0] in get_args(ErrorClass) or "=" in words[0]):
                key, equals, value = words.pop(0).partition("=")
                fields[key if equals else "class"] = value if equals else key
            stage = fields.get("stage")
            return Rejection(
                error_class=fields.get("class"),  # type: ignore[arg-type]  # any word; judged later
                bit_offset=int(fields["bit"]) if fields.get("bit", "").isdigit() else None,
                stage=stage if stage in get_args(Stage) else None,  # type: ignore[arg-type]  # checked on this line
                stream=int(fields["stream"]) if fields.get("stream", "").isdigit() else None,
                message=" ".join(words),
            )
    return Rejection(message=last_line(stderr))


def last_line(text: str) -> str:
    """Last line of a text that is not blank."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
