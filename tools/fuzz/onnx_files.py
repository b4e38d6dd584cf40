# SPDX-License-Identifier: Apache-2.0
"""Random mutations of small ONNX models through reader and writer.

    python -m tools.fuzz.onnx_files --count 100000 --seed 1

Every mutant is refused with an error that names the file, or read, written and read again with the same elements. The
exit code is 1 on anything else, and on a mutant that takes longer than a second; mutants of interest stay in ``--folder``.
"""

from __future__ import annotations

import argparse
import random
import time
import traceback
from collections import Counter
from pathlib import Path

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import open_model, save_model
from tests.onnx_models import CASES, save

#: A mutant that takes longer is a finding.
MAX_SECONDS = 1.0
#: Bytes of interest: ends of varints, tags of tensors and raw data.
_BYTES = (0x00, 0x01, 0x0A, 0x2A, 0x4A, 0x7F, 0x80, 0xFF)


def seeds(folder: Path) -> list[bytes]:
    """Write every model of the tests, with and without external data, and return the files' bytes."""
    contents = []
    for name, case in CASES.items():
        for external in (False, True):
            path = folder / f"{name}{external:d}.onnx"
            save(case(), path, external=external)
            contents.append(path.read_bytes())
    return contents


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Flip, overwrite, remove, insert or repeat a few bytes, most of them where the graph is."""
    result = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        size = len(result)
        place = rng.choice(
            (rng.randrange(size), rng.randrange(min(size, 400)), size - 1 - rng.randrange(min(size, 600)))
        )
        match rng.randrange(7):
            case 0:
                result[place] ^= 1 << rng.randrange(8)
            case 1:
                result[place] = rng.choice(_BYTES)
            case 2:
                result[place] = rng.randrange(256)
            case 3:
                del result[place : place + rng.choice((1, 2, 8, 100))]
            case 4:
                result[place:place] = rng.randbytes(rng.choice((1, 2, 9)))
            case 5:
                start = rng.randrange(size)
                result[place:place] = result[start : start + rng.choice((1, 10, 200))]
            case _:
                del result[place + 1 :]
        result = result or bytearray(1)
    return bytes(result)


def outcome(path: Path) -> str:
    """Read, write and read one file: "read" or "refused"; any other error goes on."""
    target = path.with_suffix(".out.onnx")
    try:
        with open_model(path) as model:
            tensors = {name: model[name].tobytes() for name in model}
            save_model(target, model, template=model.topology(), metadata=model.metadata, overwrite=True)
    except (NotEncodable, OSError) as error:
        place = error.path if isinstance(error, NotEncodable) else error.filename
        if str(path) not in (place or ""):
            raise AssertionError(f"the error does not name the file: {error}") from error
        return "refused"
    with open_model(target) as model:
        if {name: model[name].tobytes() for name in model} != tensors:
            raise AssertionError("the elements changed")
    return "read"


def main() -> int:
    """Run the mutations; 1 on a finding."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz-onnx"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    rng, pool = random.Random(arguments.seed), seeds(arguments.folder)
    path = arguments.folder / "mutant.onnx"
    outcomes: Counter[str] = Counter()
    for number in range(arguments.count):
        path.write_bytes(mutated(rng.choice(pool), rng))
        started = time.process_time()
        try:
            result = outcome(path)
        except Exception:
            traceback.print_exc()
            result = "finding"
        if result != "finding" and time.process_time() - started > MAX_SECONDS:
            result = "slow"
        outcomes[result] += 1
        if result in ("finding", "slow"):
            path.replace(arguments.folder / f"{result}-{arguments.seed}-{number}.onnx")
    print(f"{arguments.count} mutants, seed {arguments.seed}: {dict(outcomes)}")
    return 1 if outcomes["finding"] + outcomes["slow"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
