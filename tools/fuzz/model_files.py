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

import numpy as np

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import open_model, save_model

MAX_SECONDS = 2.0
MAX_BYTES = 512 << 20
_BATCH = 250
_HANG_SECONDS = 20
Seeds = Callable[[Path], list[Path]]

ARRAYS: dict[str, Any] = {
    "layer.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "layer.bias": np.arange(3, dtype=np.float16),
    "steps": np.array(7, np.int64),
    "mask": np.array([True, False]),
}


def _safetensors(folder: Path) -> list[Path]:
    save_model(
        folder / "a.safetensors", {**ARRAYS, "c": np.array([1j], np.complex64)}, metadata={"format": "pt"}
    )
    return [folder / "a.safetensors"]


def _npz(folder: Path) -> list[Path]:
    structured = np.array([(1, 2.5)], [("x", "<i2"), ("y", "<f8")])
    np.savez(folder / "a.npz", **ARRAYS, text=np.array(["ab"]), structured=structured)
    np.savez_compressed(folder / "b.npz", **ARRAYS, fortran=np.asfortranarray(ARRAYS["layer.weight"]))
    return [folder / "a.npz", folder / "b.npz"]


def _torch_objects() -> list[Any]:
    import torch

    state = {name: torch.from_numpy(array) for name, array in ARRAYS.items()}
    shared = torch.arange(12.0).reshape(3, 4)
    special = {
        "tied": shared, "again": shared, "column": shared[:, 1], "complex": torch.tensor([1j]),
        "sparse": shared.to_sparse(), "rows": shared.to_sparse_csr(),
        "eight": shared.to(torch.float8_e4m3fn), "none": None,
        "levels": torch.quantize_per_tensor(shared, 0.1, 3, torch.qint8),
        "channels": torch.quantize_per_channel(shared, torch.ones(3), torch.zeros(3, dtype=torch.int64), 0, torch.qint8),
    }  # fmt: skip
    optimizer = {"state": {0: {"exp_avg": shared}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    return [
        state,
        special,
        {"net": state, "optimizer": optimizer, "numbers": np.arange(3.0)},
        torch.nn.Linear(3, 4),
    ]


def _pytorch(folder: Path, *, in_zip: bool) -> list[Path]:
    import torch

    paths = []
    for number, value in enumerate(_torch_objects()):
        paths.append(folder / f"{number}.pt")
        torch.save(value, paths[-1], _use_new_zipfile_serialization=in_zip)
    if in_zip:
        paths.append(folder / "script.pt")
        torch.jit.save(torch.jit.trace(torch.nn.Linear(3, 4), torch.ones(1, 3)), str(paths[-1]))
    return paths


def _gguf(folder: Path) -> list[Path]:
    import gguf

    writer = gguf.GGUFWriter(str(folder / "a.gguf"), "llama")
    writer.add_name("tiny")
    writer.add_array("tokens", ["a", "b"])
    writer.add_array("scores", [1.0, 2.0])
    writer.add_tensor("w", ARRAYS["layer.weight"])
    kind = gguf.GGMLQuantizationType.Q4_1
    writer.add_tensor("q", gguf.quants.quantize(np.ones((2, 64), np.float32), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return [folder / "a.gguf"]


def _h5(folder: Path) -> list[Path]:
    import h5py

    paths = []
    for name, version in (("a.h5", "earliest"), ("b.h5", "latest")):
        paths.append(folder / name)
        with h5py.File(paths[-1], "w", libver=version) as file:
            for key, array in ARRAYS.items():
                file.create_dataset(f"layers/{key}/vars/0", data=array).attrs["name"] = key
            file.create_dataset("packed", data=np.arange(100.0), chunks=(10,), compression="gzip")
            file.create_dataset("words", data=np.array(["a", "é"], object), dtype=h5py.string_dtype())
            file.attrs["names"] = np.array([b"a", b"b"])
    return paths


def _keras(folder: Path) -> list[Path]:
    weights = _h5(folder)[0]
    with zipfile.ZipFile(folder / "a.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write(weights, "model.weights.h5")
    return [folder / "a.keras"]


def _index(folder: Path) -> list[Path]:
    save_model(folder / "m-00001-of-00002.safetensors", {"a": ARRAYS["layer.weight"]})
    save_model(folder / "m-00002-of-00002.safetensors", {"b": ARRAYS["steps"]})
    index = {
        "metadata": {"total_size": 3, "format": "pt"},
        "weight_map": {"a": "m-00001-of-00002.safetensors", "b": "m-00002-of-00002.safetensors"},
    }
    (folder / "m.safetensors.index.json").write_text(json.dumps(index))
    return [folder / "m.safetensors.index.json"]


def _onnx(folder: Path) -> list[Path]:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    tensors = [numpy_helper.from_array(array, name) for name, array in ARRAYS.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 4])
    node = helper.make_node("Identity", ["layer.weight"], ["y"])
    onnx.save(helper.make_model(helper.make_graph([node], "g", [], [output], tensors)), folder / "a.onnx")
    return [folder / "a.onnx"]


#: Seeds by kind. A new kind of model file is one entry here.
KINDS: dict[str, Seeds] = {
    "safetensors": _safetensors,
    "npz": _npz,
    "pytorch": lambda folder: _pytorch(folder, in_zip=True),
    "pytorch-legacy": lambda folder: _pytorch(folder, in_zip=False),
    "gguf": _gguf,
    "h5": _h5,
    "h5-process": _h5,
    "keras": _keras,
    "index": _index,
    "onnx": _onnx,
}
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
                os.close(source)
                with open(sink, "w", buffering=1, encoding="utf-8") as report:
                    _child(kind, seeds, seed, begin, end, Path(folder), report)
                os._exit(0)
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
        signal.alarm(_HANG_SECONDS)
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

    keras.Hdf5Process = InThisProcess  # type: ignore[assignment,misc]
