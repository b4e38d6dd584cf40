# SPDX-License-Identifier: Apache-2.0
"""Every stream that the tables were made from, validated, and decoded by NNCodec to the same values.

``python tools/reproduce/check_streams.py lenet-runs compare-runs`` looks at each ``.nnc`` below the folders, prints a line for
each folder, and fails at the first that is not.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import nnr_codec
from nnr_codec.inspect import Severity, validate

sys.path.insert(0, str(Path(__file__).parents[2]))
from tools.peer.client import Peer

# NNCodec takes a while over tens of millions of weights.
PEER_TIMEOUT_SECONDS = 3600.0


def checked(path: Path, peer: Peer | None) -> dict[str, npt.NDArray[Any]]:
    """Decode a stream, once it is found valid and NNCodec, where there is one, gives the same tensors.

    Raises
    ------
    SystemExit
        It is not valid, or NNCodec gives other tensors.
    """
    stream = path.read_bytes()
    wrong = [found for found in validate([stream]) if found.severity is Severity.ERROR]
    if wrong:
        raise SystemExit(f"{path}: {wrong[0]}")
    decoded = nnr_codec.decode(stream)
    if peer is not None:
        theirs = peer.decode(stream, levels=False).values
        if set(theirs) != set(decoded):
            raise SystemExit(f"{path}: NNCodec decodes other tensors: {set(theirs) ^ set(decoded)}")
        for name, tensor in decoded.items():
            if not np.array_equal(theirs[name].reshape(tensor.shape), tensor):
                raise SystemExit(f"{path}: NNCodec decodes other values of {name}")
    return decoded


def main() -> None:
    """Check folders."""
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
        raise SystemExit("no streams there")


if __name__ == "__main__":
    main()
