# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ARG001, D103 - all faults share one signature, and the function name describes the fault
"""Deliberately broken decoders for the self-test: a sound decoder with one seeded fault.

Every verdict is produced by at least one fault.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import numpy as np

from nnr_conformance.answer import Answer, Rejected, Unsupported
from nnr_conformance.arrays import Array
from nnr_conformance.decode_function import DecodeFunction
from nnr_conformance.expectation import ErrorClass

Fault = Callable[[DecodeFunction, Sequence[bytes]], list[Answer]]
ORPHAN_SECONDS = 300
"""Lifetime of an orphan that the checker fails to kill."""


def break_decoder(fault: str, base: str) -> DecodeFunction:
    """Wrap the decode function of the sound adapter ``base`` (``native``, ``model``, ``toy``) with one fault.

    The fault ``from-stream`` selects the fault that a toy stream names.
    """
    sound = importlib.import_module(f"nnr_conformance.adapters.{base}")
    if fault not in FAULTS and fault != "from-stream":
        raise ValueError(f"unknown fault {fault!r}; known: {', '.join(FAULTS)}")

    def decode(streams: Sequence[bytes]) -> list[Answer]:
        chosen = sound.fault_of(streams) if fault == "from-stream" else fault
        return FAULTS[chosen](sound.decode, streams)

    return decode


def _answers(answers: Sequence[Answer | Mapping[str, Array]]) -> list[Answer]:
    return [answer if isinstance(answer, Answer) else Answer(values=dict(answer)) for answer in answers]


def _last_values(answers: list[Answer]) -> tuple[dict[str, Array], str]:
    """Tensors of a stream and the name of the last non-empty one."""
    for answer in reversed(answers):
        for name in reversed(answer.values):
            if answer.values[name].size:
                return answer.values, name
    raise Unsupported("no tensor to break")


def none(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    """No fault: the control case."""
    return _answers(sound(streams))


def wrong_last_element(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    answers = _answers(sound(streams))
    values, name = _last_values(answers)
    values[name] = values[name].copy()
    bits = values[name].reshape(-1)[-1:].view(f"u{values[name].itemsize}")
    bits ^= 1
    return answers


def wrong_last_level(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    answers = _answers(sound(streams))
    levels = next((answer.levels for answer in reversed(answers) if answer.levels), None)
    if levels is None:
        raise Unsupported("no level to break")
    name = list(levels)[-1]
    levels[name] = levels[name].copy()
    levels[name].reshape(-1)[-1:] += 1
    return answers


def wrong_shape(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    answers = _answers(sound(streams))
    values, name = _last_values(answers)
    values[name] = values[name].reshape(1, *values[name].shape)
    return answers


def wrong_dtype(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    answers = _answers(sound(streams))
    values, name = _last_values(answers)
    values[name] = values[name].astype(np.float64)
    return answers


def missing_tensor(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    answers = _answers(sound(streams))
    values, name = _last_values(answers)
    del values[name]
    return answers


def extra_tensor(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    answers = _answers(sound(streams))
    answers[-1].values["unexpected tensor"] = np.zeros(1, np.float32)
    return answers


def wrong_units(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    answers = _answers(sound(streams))
    report = answers[-1].report
    if report is None or not report.units:
        raise Unsupported("no units to break")
    report.units[-1]["nnr_unit_size"] += 1
    return answers


def wrong_trace(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    answers = _answers(sound(streams))
    if not answers[-1].trace:
        raise Unsupported("no trace to break")
    answers[-1].trace = answers[-1].trace.rsplit("\t", 1)[0] + "\twrong\n"
    return answers


def missing_output(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    return _answers(sound(streams))[:-1]


def accepts_garbage(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    try:
        return _answers(sound(streams))
    except Rejected:
        return [Answer() for _ in streams]


def rejects_everything(sound: DecodeFunction, streams: Sequence[bytes]) -> NoReturn:
    raise Rejected("no")


def wrong_error_class(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    try:
        return _answers(sound(streams))
    except Rejected as rejected:
        rejection = rejected.rejection
        other: ErrorClass = "limit" if rejection.error_class != "limit" else "malformed"
        raise Rejected(
            rejection.message,
            error_class=other,
            stage=rejection.stage,
            stream=rejection.stream,
        ) from rejected


def wrong_error_bit(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    try:
        return _answers(sound(streams))
    except Rejected as rejected:
        rejection = rejected.rejection
        raise Rejected(rejection.message, error_class=rejection.error_class, bit_offset=1 << 40) from rejected


def crashes(sound: DecodeFunction, streams: Sequence[bytes]) -> NoReturn:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError("the process survived SIGSEGV")


def exits(sound: DecodeFunction, streams: Sequence[bytes]) -> NoReturn:
    os._exit(42)


def raises(sound: DecodeFunction, streams: Sequence[bytes]) -> NoReturn:
    raise IndexError("an exception outside the contract")


def hangs(sound: DecodeFunction, streams: Sequence[bytes]) -> NoReturn:
    while True:
        time.sleep(ORPHAN_SECONDS)


def spins(sound: DecodeFunction, streams: Sequence[bytes]) -> NoReturn:
    while True:
        pass


def _fork_orphan() -> None:
    """Start a grandchild in its own session that ignores every signal it can."""
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            os.closerange(0, 64)
            time.sleep(ORPHAN_SECONDS)
        os._exit(0)
    os.waitpid(child, 0)


def forks_orphans(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    """Decode correctly and leave a process behind."""
    _fork_orphan()
    return _answers(sound(streams))


def hangs_with_orphans(sound: DecodeFunction, streams: Sequence[bytes]) -> NoReturn:
    _fork_orphan()
    hangs(sound, streams)


def eats_memory(sound: DecodeFunction, streams: Sequence[bytes]) -> NoReturn:
    blocks = []
    while True:
        blocks.append(np.ones(4 << 20, np.uint8))
        time.sleep(0.001)


_n_calls = 0


def flaky(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    """Decode odd calls correctly and even calls wrongly."""
    global _n_calls
    _n_calls += 1
    return wrong_last_element(sound, streams) if _n_calls % 2 == 0 else _answers(sound(streams))


def unsupported(sound: DecodeFunction, streams: Sequence[bytes]) -> NoReturn:
    raise Unsupported("everything")


def babbles(sound: DecodeFunction, streams: Sequence[bytes]) -> list[Answer]:
    """Write text between the lines of the protocol."""
    for descriptor in range(3, 16):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"decoding...\n")
    return _answers(sound(streams))


FAULTS: dict[str, Fault] = {
    fault.__name__.replace("_", "-"): fault
    for fault in (
        none, wrong_last_element, wrong_last_level, wrong_shape, wrong_dtype, missing_tensor, extra_tensor,
        wrong_units, wrong_trace, missing_output, accepts_garbage, rejects_everything, wrong_error_class,
        wrong_error_bit, crashes, exits, raises, hangs, spins, forks_orphans, hangs_with_orphans, eats_memory,
        flaky, unsupported, babbles,
    )
}  # fmt: skip
