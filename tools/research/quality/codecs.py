# SPDX-License-Identifier: Apache-2.0
"""Codecs under test: this tree, another build of nnr_codec, and NNCodec, each at a step of a ladder of step sizes."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from conformance.peers.client import Peer
from tools.research.quality.subject import Tensors

_WORKER = Path(__file__).parent / "encode_worker.py"
# Density of QPs of which every ladder step is a whole number.
_PEER_DENSITY = 2
_PEER_QP = -32
_PEER_TIMEOUT = 1800.0


@dataclass(frozen=True)
class Coded:
    """Encoded and decoded model."""

    size_bytes: int
    seconds: float  # processor time of encoding
    tensors: Tensors


class Codec(Protocol):
    """Encoder with one free parameter: doublings of the step size, relative to its default."""

    name: str

    def code(self, tensors: Tensors, octaves: float) -> Coded:
        """Encode and decode."""


class NnrCodec:
    """Build of nnr_codec.

    Parameters
    ----------
    name : str
        Label; equal labels share cached results.
    python : Path
        Interpreter whose nnr_codec encodes.
    options : mapping
        Options of EncoderConfig; "relative_error" (0.02) is scaled by the ladder.
    """

    def __init__(self, name: str, python: Path, options: Mapping[str, Any]) -> None:
        self.name, self._python = name, python
        self._options = {"relative_error": 0.02} | dict(options)

    def code(self, tensors: Tensors, octaves: float) -> Coded:
        """Encode and decode in a process of the interpreter."""
        options = self._options | {"relative_error": self._options["relative_error"] * 2.0**octaves}
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "source.npz", Path(folder) / "target.npz"
            np.savez(source, **dict[str, Any](tensors))
            command = [str(self._python), "-P", str(_WORKER), str(source), str(target), json.dumps(options)]
            environment = os.environ | {"PYTHONPATH": ""}
            reply = subprocess.run(
                command, check=True, capture_output=True, text=True, cwd=folder, env=environment
            )
            with np.load(target) as archive:
                decoded = dict(archive)
        return Coded(**json.loads(reply.stdout), tensors=decoded)


class PeerCodec:
    """NNCodec with its default options and one QP for weights."""

    name = "nncodec"

    def code(self, tensors: Tensors, octaves: float) -> Coded:
        """Encode and decode at the nearest QP."""
        qp = _PEER_QP + round(octaves * 2**_PEER_DENSITY)
        with Peer(timeout_seconds=_PEER_TIMEOUT) as peer:
            stream, seconds = peer.encode_timed(tensors, qp=qp)
            decoded = peer.decode(stream, levels=False).values
        return Coded(
            len(stream),
            seconds,
            {name: decoded[name].reshape(array.shape) for name, array in tensors.items()},
        )
