# SPDX-License-Identifier: Apache-2.0
"""Cost of rejecting short streams that claim huge sizes: ``python -m tools.attacks``.

Every stream is decoded in its own process, which measures the time of the call and the growth of the peak resident
memory over the imported package. The exit code is 1 if a stream is accepted or exceeds the promised cost.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECONDS, MIB = 0.05, 50

_CHILD = """
import json, resource, sys, time
import nnr_codec
stream = sys.stdin.buffer.read()
small = nnr_codec.encode({"w": [[1.0, 2.0]]})
nnr_codec.decode(small)  # load everything that the first call loads
def resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before, started, cpu = resident(), time.perf_counter(), time.process_time()
try:
    nnr_codec.decode(stream)
    outcome = "accepted"
except nnr_codec.BitstreamError as error:
    outcome = f"{type(error).__name__} at bit {error.bit_offset}"
cpu, seconds = time.process_time() - cpu, time.perf_counter() - started
print(json.dumps([outcome, seconds, cpu, (resident() - before) / 1024]))
"""


def _elements() -> bytes:
    from conformance.generators import draft
    from conformance.generators.plain import one

    return one(draft.data_unit("w", (1 << 30, 1 << 30), bytes(range(1, 160)), profile=0))


def _units() -> bytes:
    from conformance.generators import draft

    return bytes(draft.write_stream([draft.start(0)])) + bytes([0, 3, 40 << 2]) * 1_000_000


def _bomb() -> bytes:
    from conformance.generators import draft
    from conformance.generators.resource_cases import deflate_bomb, topology_stream

    return topology_stream(draft.topology(deflate_bomb((1 << 28) // 258 + 2), 3, 1))


def _codebook() -> bytes:
    from conformance.generators.resource_cases import stream_with_count

    return stream_with_count("codebook_size")[0]


#: Claim of the stream, and function that writes it.
ATTACKS: dict[str, Callable[[], bytes]] = {
    "2^60 elements": _elements,
    "10^6 units": _units,
    "a deflate bomb of 256 MiB in the topology unit": _bomb,
    "a codebook of 2^31 entries": _codebook,
}


def measure(stream: bytes) -> tuple[str, float, float, float]:
    """Decode a stream in a new process.

    Returns
    -------
    tuple
        Outcome, wall-clock seconds, processor seconds, and growth of the peak memory in MiB.
    """
    child = subprocess.run(
        [sys.executable, "-c", _CHILD], input=stream, capture_output=True, cwd=ROOT, check=True
    )
    outcome, seconds, cpu, mib = json.loads(child.stdout)
    return outcome, seconds, cpu, mib


def main() -> int:
    """Print a table of all attacks; exit code 1 if one exceeds its bounds."""
    print("| claim | stream | answer | time | processor time | memory |\n|---|---:|---|---:|---:|---:|")
    missed = False
    for claim, make in ATTACKS.items():
        stream = make()
        outcome, seconds, cpu, mib = measure(stream)
        missed = missed or outcome == "accepted" or cpu > SECONDS or mib > MIB
        print(
            f"| {claim} | {len(stream):,} bytes | {outcome} | {1000 * seconds:.1f} ms | {1000 * cpu:.1f} ms | {mib:.1f} MiB |"
        )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
