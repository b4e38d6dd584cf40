# SPDX-License-Identifier: Apache-2.0
"""Generator of large valid streams: ``python -m tools.make_large_stream OUT [--gigabytes 1] [--unit-megabytes 4]``.

One tensor is encoded once and repeated under other names, so that a gigabyte takes seconds. The streams test that time
and memory do not grow with the size of a stream.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import nnr_codec
from nnr_codec.model import DataUnit
from nnr_codec.syntax import build_unit, iter_units


def write_large_stream(path: Path, size_bytes: int, unit_bytes: int) -> int:
    """Write a stream of about ``size_bytes``, and return its number of data units."""
    rows = max(1, unit_bytes // 1024)
    weights = np.random.default_rng(0).standard_normal((rows, 1024)).astype(np.float32)
    seed = nnr_codec.encode({"layer": weights}, dependent=False)
    count = 0
    with path.open("wb") as file:
        for span, unit, state in iter_units(seed):
            if not isinstance(unit, DataUnit):
                file.write(seed[span.byte_offset : span.byte_offset + span.size_bytes])
                continue
            while count == 0 or file.tell() < size_bytes:
                header = replace(unit.header, topology_elem_ids=(f"layer{count}.weight",))
                if header.node_id is not None:
                    header = replace(header, node_id=replace(header.node_id, parameter_id=count))
                file.write(build_unit(replace(unit, header=header), state))
                count += 1
    return count


def main() -> None:
    """Parse the command line and write the stream."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--unit-megabytes", type=float, default=4.0)
    options = parser.parse_args()
    count = write_large_stream(options.path, int(options.gigabytes * 1e9), int(options.unit_megabytes * 1e6))
    print(f"{options.path}: {options.path.stat().st_size:,} bytes, {count} data units")


if __name__ == "__main__":
    main()
