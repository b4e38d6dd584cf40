# SPDX-License-Identifier: Apache-2.0
"""Check of the measured streams: each must be valid, and NNCodec must decode it to the same values.

``python -m tools.research.reproduce.check_streams lenet-runs compare-runs`` checks every ``.nnc`` below the folders,
prints one line per folder, and fails at the first fault.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import nnr_codec
from conformance.peers.client import Peer
from nnr_codec.inspect import Severity, validate

# NNCodec is slow on tens of millions of weights.
PEER_TIMEOUT_SECONDS = 3600.0


def checked(path: Path, peer: Peer | None) -> dict[str, npt.NDArray[Any]]:
    """Validate and decode a stream, and compare with NNCodec if there is a peer.

    Raises
    ------
    SystemExit
        If the stream is invalid, or NNCodec decodes other tensors.
    """
    stream = path.read_bytes()
    errors = [fault for fault in validate([stream]) if fault.severity is Severity.ERROR]
    if errors:
        raise SystemExit(f"{path}: {errors[0]}")
    decoded = nnr_codec.decode(stream)
    if peer is not None:
        peer_tensors = peer.decode(stream, levels=False).values
        if set(peer_tensors) != set(decoded):
            raise SystemExit(f"{path}: NNCodec decodes other tensors: {set(peer_tensors) ^ set(decoded)}")
        for name, tensor in decoded.items():
            if not np.array_equal(peer_tensors[name].reshape(tensor.shape), tensor):
                raise SystemExit(f"{path}: NNCodec decodes other values of {name}")
    return decoded


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    options = parser.parse_args()
    counts: Counter[Path] = Counter()
    with Peer(timeout_seconds=PEER_TIMEOUT_SECONDS) as peer:
        for path in sorted(path for folder in options.folders for path in folder.rglob("*.nnc")):
            checked(path, peer)
            counts[path.parent] += 1
    for folder, count in counts.items():
        print(f"{folder.name}: {count} streams, all valid, and NNCodec decodes each to the same values")
    if not counts:
        raise SystemExit("no streams in these folders")


if __name__ == "__main__":
    main()
