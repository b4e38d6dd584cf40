# SPDX-License-Identifier: Apache-2.0
"""Command line of the model: ``python -m spec.model [options] STREAM [STREAM...]``.

Several streams are decoded as one sequence (5.6). Exit status: 0 decoded, 1 rejected, 69 unsupported, 2 usage.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

from . import BinTrace, Field, Limits, Session, StreamError, Unsupported

EXIT_DECODED, EXIT_REJECTED, EXIT_UNSUPPORTED = 0, 1, 69
TRACE_COLUMNS = ("index", "kind", "context", "range", "offset", "bin", "bit_position", "s0", "s1", "element")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="spec.model", description="Decode NNC streams with the reference decoder of the specification."
    )
    parser.add_argument("streams", nargs="+", metavar="STREAM", help="streams of a sequence, in order")
    parser.add_argument("--levels", action="store_true", help="print the levels of every tensor")
    parser.add_argument("--values", action="store_true", help="print the values of every tensor")
    parser.add_argument(
        "--trace-bins", action="store_true", help="print the state of the arithmetic decoder after every bin"
    )
    parser.add_argument(
        "--fields", action="store_true", help="print every syntax element outside the codewords"
    )
    parser.add_argument(
        "--block-rows-alone", action="store_true", help="decode block rows from their entry points"
    )
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="NAME=2,3",
        help="shape of a tensor whose unit has no dimensions",
    )
    parser.add_argument("--max-elements", type=int, default=None, help="limit on the elements of a tensor")
    parser.add_argument("--output", type=Path, help="folder for the values, one .bin file per tensor")
    options = parser.parse_args(arguments)

    limits = Limits() if options.max_elements is None else Limits(tensor_elements=options.max_elements)
    log: list[Field] | None = [] if options.fields else None
    session = Session(
        limits=limits,
        dimensions=_shapes(parser, options.shape),
        block_rows_alone=options.block_rows_alone,
        observe=_print_bin if options.trace_bins else None,
        log=log,
    )
    if options.trace_bins:
        print("\t".join(("unit", *TRACE_COLUMNS)))
    for number, name in enumerate(options.streams):
        try:
            stream = session.decode(Path(name).read_bytes())
        except StreamError as error:
            _print_fields(log)
            print(json.dumps(_verdict(number, error)), file=sys.stderr)
            return EXIT_UNSUPPORTED if isinstance(error, Unsupported) else EXIT_REJECTED
        _print_fields(log)
        if options.trace_bins or options.fields:
            continue
        for position, tensor in enumerate(stream.tensors.values()):
            line: dict[str, object] = {
                "stream": number,
                "name": tensor.name,
                "shape": tensor.shape,
                "dtype": tensor.dtype,
                "sha256": hashlib.sha256(tensor.value_bytes).hexdigest(),
            }
            if options.levels:
                line["levels"] = tensor.levels
            if options.values:
                line["values"] = tensor.values
            if options.output is not None:
                options.output.mkdir(parents=True, exist_ok=True)
                line["file"] = f"{number}-{position}.bin"
                (options.output / f"{number}-{position}.bin").write_bytes(tensor.value_bytes)
            print(json.dumps(line))
    return EXIT_DECODED


def _shapes(parser: argparse.ArgumentParser, texts: list[str]) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for text in texts:
        name, separator, numbers = text.rpartition("=")
        try:
            shapes[name] = tuple(int(number) for number in numbers.split(",") if number)
        except ValueError:
            separator = ""
        if not separator:
            parser.error(f"not NAME=2,3: {text}")
    return shapes


def _print_bin(unit: int, trace: BinTrace) -> None:
    cells = (getattr(trace, column) for column in TRACE_COLUMNS)
    print("\t".join((str(unit), *("-" if cell is None else str(cell) for cell in cells))))


def _print_fields(log: list[Field] | None) -> None:
    for entry in log or ():
        value = entry.value.hex() if isinstance(entry.value, bytes) else entry.value
        print(f"{entry.bit_offset}\t{entry.n_bits}\t{entry.descriptor}\t{entry.path}\t{value}")
    if log is not None:
        log.clear()


def _verdict(stream: int, error: StreamError) -> dict[str, object]:
    return {
        "stream": stream,
        "verdict": error.verdict,
        "message": error.message,
        "path": error.path,
        "bit_offset": error.bit_offset,
        "clause": error.clause,
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        # The reader of the output has closed it, as ``| head`` does. The decoding did not fail.
        sys.stderr.close()
        sys.exit(EXIT_DECODED)
