# SPDX-License-Identifier: Apache-2.0
"""Fuzzer of the readers of model files.

Mutated files of every kind are opened and read to the end. A reader may raise ``NotEncodable`` or ``OSError`` with the
file's name, and nothing else; a file of some kilobytes takes at most 2 s of processor time and 512 MB beside the
interpreter. Files run in batches in child processes, so that a crash or a hang is a finding too.

HDF5 files are read in the batch's own process here, because a child per file takes half a second; a crash of the
library counts, but is no finding: in the product it ends the reading child. The kind h5-process has that child.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import resource
import signal
import struct
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import open_model
from tools.fuzz.model_file_seeds import KINDS

MAX_SECONDS = 2.0
MAX_BYTES = 512 << 20
_BATCH = 250
#: Processor time, and wall time, after which a file counts as a hang.
_HANG_SECONDS, _WAIT_SECONDS = 5.0, 120
#: All kinds, one after the other, except those that take a process per file.
TOGETHER = "model-files"
NAMES = (TOGETHER, *(f"{TOGETHER}:{kind}" for kind in KINDS))


def fuzz(name: str, *, seconds: float, runs: int, seed: int, crashes: Path) -> dict[str, Any]:
    """Read mutated files of one kind, or of each kind, until the time or the number of runs is over.

    Returns
    -------
    dict
        For the log: executions, seconds, files that were read without an error, the finding if any.
    """
    kinds = [kind for kind in KINDS if kind != "h5-process"] if name == TOGETHER else [name.split(":")[1]]
    started, counts, finding = time.monotonic(), Counter[str](), ""
    for kind in kinds:
        begun, before = time.monotonic(), counts.copy()
        number = 0
        seeds = _seeds(kind)
        while number < runs and time.monotonic() - begun < seconds / len(kinds) and not finding:
            batch = min(_BATCH, runs - number)
            finding = _run_batch(kind, seeds, seed, number, batch, counts, crashes)
            number += batch
        difference = counts - before
        print(
            f"  {kind}: {difference['files']:,} files, {difference['read']:,} read, {difference['refused']:,} refused, "
            f"{difference['crashes']:,} crashes of a library, {time.monotonic() - begun:.0f} s",
            flush=True,
        )
    return {
        "target": name, "executions": counts["files"], "seconds": round(time.monotonic() - started, 1),
        "reached": counts["read"], "of": counts["files"], "unit": "files read", "finding": finding,
    }  # fmt: skip


def _seeds(kind: str) -> tuple[dict[str, bytes], list[str]]:
    """Return a kind's files by name, and the names of those to damage; import the libraries that made them."""
    with tempfile.TemporaryDirectory(prefix="nnr-fuzz-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        targets = KINDS[kind](Path(folder))
        others = sorted(path for path in Path(folder).iterdir() if path not in targets)
        return {path.name: path.read_bytes() for path in (*targets, *others)}, [path.name for path in targets]


def _run_batch(
    kind: str,
    seeds: tuple[dict[str, bytes], list[str]],
    seed: int,
    begin: int,
    size: int,
    counts: Counter[str],
    crashes: Path,
) -> str:
    """Read files in a child process; return a finding, or an empty string."""
    end = begin + size
    while begin < end:
        with tempfile.TemporaryDirectory(prefix="nnr-fuzz-") as folder:
            source, sink = os.pipe()
            child = os.fork()
            if child == 0:
                # The child must not go on with the parent's work, whatever happens.
                status = 1
                with contextlib.suppress(BaseException):
                    os.close(source)
                    with open(sink, "w", buffering=1, encoding="utf-8") as report:
                        _child(kind, seeds, seed, begin, end, Path(folder), report)
                    status = 0
                os._exit(status)
            os.close(sink)
            with open(source, encoding="utf-8", errors="replace") as report:
                lines = report.read().splitlines()
            _, status = os.waitpid(child, 0)
            outcomes = [line for line in lines if line.startswith(("read", "refused"))]
            for line in outcomes:
                counts[line.split()[0]] += 1
            counts["files"] += len(outcomes)
            reasons = [line.removeprefix("finding ") for line in lines if line.startswith("finding ")]
            begin += len(outcomes) + 1
            if not reasons and not os.WIFSIGNALED(status):
                if os.WEXITSTATUS(status):
                    raise RuntimeError(f"the child for {kind} files failed before it read one")
                continue
            counts["files"] += 1
            if kind in ("h5", "keras") and not reasons:
                counts["crashes"] += 1
                continue
            reason = reasons[0] if reasons else f"signal {os.WTERMSIG(status)}"
            crashes.mkdir(parents=True, exist_ok=True)
            kept = crashes / f"model-files-{kind}-{seed}-{begin - 1}"
            kept.write_bytes((Path(folder) / "last").read_bytes())
            return f"{reason} ({kept})"
    return ""


def _child(
    kind: str,
    files: tuple[dict[str, bytes], list[str]],
    seed: int,
    begin: int,
    end: int,
    folder: Path,
    report: Any,
) -> None:
    warnings.simplefilter("ignore")
    for name, content in files[0].items():
        (folder / name).write_bytes(content)
    seeds = [folder / name for name in files[1]]
    if kind in ("h5", "keras"):
        _read_hdf5_here()
    pool = [path.read_bytes() for path in seeds]
    # Readers import their libraries before memory is limited.
    for path in seeds:
        _read(path)
    with open("/proc/self/statm", encoding="ascii") as statm:
        size = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + MAX_BYTES, size + MAX_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in range(begin, end):
        choose = random.Random(f"{seed} {kind} {number}")
        target = seeds[choose.randrange(len(seeds))]
        content = mutate(choose, pool)
        target.write_bytes(content)
        (folder / "last").write_bytes(content)
        signal.setitimer(signal.ITIMER_PROF, _HANG_SECONDS)
        signal.alarm(_WAIT_SECONDS)
        used = time.process_time()
        try:
            outcome = "read" if _read(target) else "refused"
            used = time.process_time() - used
            if used > MAX_SECONDS:
                outcome = f"finding {used:.1f} s"
        except BaseException as error:
            traceback.print_exception(error)
            outcome = f"finding {type(error).__name__}: {str(error)[:200]!r}"
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        report.write(outcome + "\n")
        if outcome.startswith("finding"):
            return


def _read(path: Path) -> bool:
    """Read a file to its end; return whether that went without one of the errors that readers may raise."""
    try:
        with open_model(path) as model:
            for name in model:
                array = model[name]
                description = model.describe(name)
                expected = (description.size_bytes,) if description.is_opaque else description.shape
                if array.shape != expected:
                    raise AssertionError(f"{name!r} has shape {array.shape} instead of {expected}")
            for name in model.attachments:
                model.attachments[name]
            if not all(isinstance(text, str) for item in model.metadata.items() for text in item):
                raise AssertionError("metadata of other types than text")
    except NotEncodable as error:
        if str(path.parent) not in (error.path or ""):
            raise AssertionError(f"an error without the file's name: {error}") from error
        return False
    except OSError as error:
        if not str(error.filename).startswith(str(path.parent)):
            raise
        return False
    return True


def mutate(choose: random.Random, pool: list[bytes]) -> bytes:
    """Return a damaged copy of one of the pool's files; members of zip archives are damaged half of the times."""
    content = choose.choice(pool)
    if content[:4] == b"PK\x03\x04" and choose.random() < 0.6:
        return _with_damaged_member(choose, content)
    return _damaged(choose, content, pool)


def _with_damaged_member(choose: random.Random, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(out, "w") as target:
        members = archive.infolist()
        chosen = choose.choice(
            [m for m in members if m.filename.endswith((".pkl", ".npy", ".h5"))] or members
        )
        for member in members:
            text = archive.read(member)
            if member is chosen:
                text = _damaged(choose, text, [text])
            with contextlib.suppress(UserWarning):
                target.writestr(member, text)
    return out.getvalue()


def _damaged(choose: random.Random, content: bytes, pool: list[bytes]) -> bytes:
    octets = bytearray(content)
    for _ in range(choose.choice((1, 1, 1, 2, 3, 5))):
        at = choose.randrange(len(octets) + 1)
        match choose.randrange(8):
            case 0 if at < len(octets):
                octets[at] ^= 1 << choose.randrange(8)
            case 1 if at < len(octets):
                octets[at] = choose.choice((0, 1, 127, 128, 255))
            case 2:
                del octets[at : at + choose.randint(1, 4)]
            case 3:
                octets[at:at] = choose.randbytes(choose.randint(1, 4))
            case 4:
                octets[at : at + 8] = struct.pack(
                    "<Q", choose.choice((0, 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1))
                )
            case 5:
                other = choose.choice(pool)
                start = choose.randrange(len(other))
                octets[at:at] = other[start : start + choose.randint(1, 60)]
            case 6 if choose.random() < 0.2:
                del octets[at:]
            case _:
                digits = [i for i, octet in enumerate(octets[:4096]) if 48 <= octet < 58]
                if digits:
                    octets[choose.choice(digits)] = choose.choice(b'0123456789-.eE"[{')
    return bytes(octets)


def _read_hdf5_here() -> None:
    """Replace the reading process by reading in this one."""
    import h5py

    from nnr_codec.frameworks import hdf5_worker, keras

    class InThisProcess:
        def __init__(self, path: str, label: str) -> None:
            self._label = label
            self._file = self._run(lambda: h5py.File(path, "r"))

        def structure(self) -> Any:
            return self._run(lambda: json.loads(json.dumps(hdf5_worker.structure(h5py, self._file))))

        def read(self, name: str, n_bytes: int) -> Any:
            content = self._run(lambda: hdf5_worker.elements(self._file[name]))
            if len(content) != n_bytes:
                raise NotEncodable("the dataset's size does not fit its shape", path=self._label)
            return content

        def close(self) -> None:
            with contextlib.suppress(Exception):
                self._file.close()

        def _run(self, function: Callable[[], Any]) -> Any:
            try:
                return function()
            except Exception as error:
                raise NotEncodable(str(error), path=self._label) from None

    vars(keras)["Hdf5Process"] = InThisProcess
