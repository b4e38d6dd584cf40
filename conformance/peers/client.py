# SPDX-License-Identifier: Apache-2.0
"""Client of the peer codec NNCodec, which runs in a process and an environment of its own."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import nnr_conformance
import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
REPOSITORY = Path(__file__).resolve().parents[2]
BRIDGE = Path(nnr_conformance.__file__).parent / "adapters" / "nncodec_bridge.py"


class PeerError(Exception):
    """Error reported by the peer; its process stays alive."""

    def __init__(self, error: str, message: str, location: str = "") -> None:
        super().__init__(f"{error}: {message}" + (f" ({location})" if location else ""))
        self.error, self.message, self.location = error, message, location


class PeerCrash(PeerError):
    """Death or timeout of the peer's process; the next call starts a new one without state."""


@dataclass(frozen=True)
class PeerDecoded:
    """Decoded stream of the peer.

    Attributes
    ----------
    values : dict[str, ndarray]
        Reconstructed tensors in the peer's dtypes.
    levels : dict[str, int32 ndarray]
        Levels; with a codebook, indices relative to its zero entry.
    codebooks : dict[str, int32 ndarray]
    parameters, model : dict
        Description of the tensors (``qp``, ``dq_flag``, ...) and of the model, in the peer's terms.
    """

    values: Arrays
    levels: Arrays = field(default_factory=dict)
    codebooks: Arrays = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PeerTiming:
    """Times of every repetition, in seconds.

    ``api_seconds`` cover the peer's compress() or decompress() call, ``native_seconds`` only its compiled coder,
    measured in separate repetitions. The ``cpu`` fields hold processor time, which other load disturbs less.
    """

    api_seconds: tuple[float, ...]
    api_cpu_seconds: tuple[float, ...]
    native_seconds: tuple[float, ...]
    native_cpu_seconds: tuple[float, ...]


def find_python() -> Path | None:
    """Find the peer's interpreter in NNR_PEER_VENV or in ``.venv-peer`` of the source tree; None if absent."""
    root = Path(os.environ.get("NNR_PEER_VENV") or REPOSITORY / ".venv-peer")
    for relative in ("bin/python", "Scripts/python.exe"):
        if (root / relative).exists():
            return root / relative
    return None


class Peer:
    """Process of the peer, started on first use and restarted after a crash.

    Parameters
    ----------
    python : path, optional
        Interpreter of the peer environment; default: that of `find_python`.
    timeout_seconds : float
        Time limit of one reply, in seconds; after it the process is killed.
    """

    def __init__(self, python: str | os.PathLike[str] | None = None, timeout_seconds: float = 120.0) -> None:
        interpreter = Path(python) if python is not None else find_python()
        if interpreter is None:
            raise FileNotFoundError(
                "no peer environment; make one with `python -m conformance.peers.environment`"
            )
        self.python = interpreter
        self.timeout_seconds = timeout_seconds
        self.greeting: dict[str, Any] = {}
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._folder = tempfile.TemporaryDirectory(prefix="nnr-peer-")
        self._counter = 0

    def __enter__(self) -> Peer:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process and remove the exchanged files."""
        self._stop()
        self._folder.cleanup()

    def version(self) -> dict[str, Any]:
        """Read the versions of the peer, its NumPy and its Python."""
        return self._ask("version")

    def decode(
        self, stream: bytes, *, levels: bool = True, incremental: bool = False, recompose: bool = False
    ) -> PeerDecoded:
        """Decode one stream; ``recompose`` applies local scaling, multiplies factors and unfolds batch norm.

        Raises
        ------
        PeerError
            The peer rejected the stream.
        PeerCrash
            The peer died.
        """
        output = self._path(".npz")
        reply = self._ask(
            "decode",
            stream=str(self._written(stream)),
            output=str(output),
            levels=levels,
            incremental=incremental,
            reconstruct_lsa=recompose,
            reconstruct_bnf=recompose,
            recompose_factors=recompose,
        )
        groups: dict[str, Arrays] = {"value": {}, "level": {}, "codebook": {}}
        for key, array in _load(output).items():
            kind, _, name = key.partition(":")
            groups[kind][name] = array
        return PeerDecoded(
            groups["value"], groups["level"], groups["codebook"], reply["parameters"], reply["model"]
        )

    def decode_sequence(
        self, streams: Iterable[bytes], *, history: bool = True, levels: bool = True
    ) -> list[PeerDecoded]:
        """Decode incremental streams in order from a fresh state."""
        self.reset("decode", history=history)
        return [self.decode(stream, levels=levels, incremental=True) for stream in streams]

    def encode(self, tensors: Mapping[str, NDArray[Any]], **options: Any) -> bytes:
        """Encode tensors (float32 or int32) with the options of `peer_options`."""
        return self.encode_timed(tensors, **options)[0]

    def encode_timed(self, tensors: Mapping[str, NDArray[Any]], **options: Any) -> tuple[bytes, float]:
        """Encode tensors and report the processor time of the peer's call in seconds."""
        output = self._path(".nnc")
        saved = str(self._saved(tensors))
        reply = self._ask("encode", tensors=saved, output=str(output), options=peer_options(**options))
        stream = output.read_bytes()
        output.unlink()
        return stream, reply["cpu_seconds"]

    def encode_sequence(
        self,
        updates: Iterable[Mapping[str, NDArray[Any]]],
        *,
        history: bool = False,
        device_id: int = 0,
        **options: Any,
    ) -> list[bytes]:
        """Encode incremental updates in order from a fresh state; temporal context is on by default."""
        self.reset("encode", history=history, device_id=device_id)
        settings = {"temporal_context": True, "incremental": True, "device_id": device_id} | options
        return [self.encode(update, **settings) for update in updates]

    def time_decode(self, stream: bytes, repeat: int = 3) -> PeerTiming:
        """Time the decoding of one stream inside the peer's process."""
        return _timing(self._ask("time_decode", stream=str(self._written(stream)), repeat=repeat))

    def time_encode(self, tensors: Mapping[str, NDArray[Any]], repeat: int = 3, **options: Any) -> PeerTiming:
        """Time the encoding of tensors inside the peer's process."""
        saved = str(self._saved(tensors))
        settings = peer_options(**options)
        return _timing(self._ask("time_encode", tensors=saved, repeat=repeat, options=settings))

    def reset(self, direction: str = "both", *, history: bool = False, device_id: int = 0) -> None:
        """Reset the incremental state of ``"decode"``, ``"encode"`` or ``"both"``."""
        self._ask("reset", direction=direction, history=history, device_id=device_id)

    def _path(self, suffix: str) -> Path:
        self._counter += 1
        return Path(self._folder.name) / f"{self._counter}{suffix}"

    def _written(self, stream: bytes) -> Path:
        path = Path(self._folder.name) / "input.nnc"
        path.write_bytes(stream)
        return path

    def _saved(self, tensors: Mapping[str, NDArray[Any]]) -> Path:
        path = Path(self._folder.name) / "input.npz"
        # savez takes names as keywords; the prefix keeps a tensor named "file" from clashing with its parameter.
        named: dict[str, Any] = {f"tensor:{name}": array for name, array in tensors.items()}
        np.savez(path, **named)
        return path

    def _start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with open(Path(self._folder.name) / "stderr.txt", "w") as errors:
            process = subprocess.Popen(
                [str(self.python), "-I", str(BRIDGE)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
                cwd=self._folder.name,
                start_new_session=True,
            )
        lines: queue.Queue[str | None] = queue.Queue()

        def read() -> None:
            if process.stdout is not None:
                for line in process.stdout:
                    lines.put(line)
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        self._process, self._lines = process, lines
        self.greeting = self._answer("start")

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _ask(self, command: str, **fields: Any) -> dict[str, Any]:
        if self._process is None:
            self._start()
        if self._process is None or self._process.stdin is None:
            raise PeerCrash("NotStarted", "the peer's process could not be started")
        try:
            self._process.stdin.write(json.dumps({"command": command, **fields}) + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # the process died; reading the reply below reports how
        reply = self._answer(command)
        if not reply.pop("ok"):
            raise PeerError(reply["error"], reply["message"], reply["location"])
        return reply

    def _answer(self, command: str) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=self.timeout_seconds)
        except queue.Empty:
            self._stop()
            message = f"no answer to {command} in {self.timeout_seconds:g} s"
            raise PeerCrash("Timeout", message) from None
        if line is None:
            code = self._process.wait() if self._process is not None else 0
            self._stop()
            reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise PeerCrash(reason, f"the peer died during {command}; {self._last_stderr_line()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_stderr_line(self) -> str:
        text = (Path(self._folder.name) / "stderr.txt").read_text(errors="replace").strip()
        return text.splitlines()[-1][:300] if text else "it wrote nothing"


def peer_options(
    *,
    qp: int = -32,
    qp_1d: int = -75,
    qp_density: int = 2,
    qp_per_tensor: Mapping[str, int] | None = None,
    dependent: bool = True,
    codebook: bool | str = False,
    scan_order: int = 0,
    unary_length: int = 11,
    row_skipping: bool = True,
    init_search: bool = True,
    profile: int = 1,
    bitdepth: int | None = None,
    rdo_lambda: float = 0.0,
    fold_batch_norm: bool = False,
    blocks: Mapping[str, Any] | None = None,
    factors: Mapping[str, tuple[int, ...]] | None = None,
    temporal_context: bool = False,
    differences: bool = False,
    parent_signalling: bool = False,
    device_id: int = 0,
    incremental: bool = False,
    header: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Translate this codec's names of encoder options into the peer's.

    Parameters
    ----------
    codebook : bool or "auto"
        True forces a codebook; "auto" lets the peer choose by size, without dependent quantisation and with
        QP lowered by 4.
    rdo_lambda : float
        The peer's undocumented rate-distortion parameter; 0 is off.
    blocks : mapping, optional
        ``{"block_identifier": {tensor: block or None}, "parameter_type": {tensor: type}}`` with the
        peer's types ``weight``, ``weight.ls``, ``bias``, ``bn.beta``, ``bn.gamma``, ``bn.mean``, ``bn.var``,
        ``unspecified``.
        The peer drops scaling tensors with names other than ``<weight>_scaling``.
    factors : mapping, optional
        ``{weight: shape}`` of low-rank weights in a block (needs ``blocks``); the tensors then hold
        ``weight_G`` and ``weight_H`` instead of the weight.
    header : mapping, optional
        Further fields of the peer's header description, by the peer's names.
    """
    fields: dict[str, Any] = dict(header or {})
    if profile == 0:
        fields |= {"general_profile_idc": 0}
    return {
        "qp": qp,
        "nonweight_qp": qp_1d,
        "qp_density": qp_density,
        "qp_per_tensor": dict(qp_per_tensor) if qp_per_tensor else None,
        "use_dq": dependent,
        "codebook_mode": {False: 0, True: 1, "auto": 2}[codebook],
        "scan_order": scan_order,
        "cabac_unary_length_minus1": unary_length - 1,
        "row_skipping": row_skipping,
        "param_opt": init_search,
        "int_quant_bw": bitdepth if bitdepth is not None else False,
        "lambda_scale": rdo_lambda,
        "bnf": fold_batch_norm,
        "block_id_and_param_type": dict(blocks) if blocks else None,
        "tca": temporal_context,
        # Without differences the peer signals no parents, and temporal context has no effect.
        "compress_differences": differences or temporal_context,
        "pre_signalling": parent_signalling,
        "device_id": device_id,
        "incremental": incremental,
        "header": fields,
        "factors": {name: list(shape) for name, shape in (factors or {}).items()},
    }


def _load(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    path.unlink()
    return arrays


def _timing(reply: dict[str, Any]) -> PeerTiming:
    return PeerTiming(**{name: tuple(seconds) for name, seconds in reply.items()})
