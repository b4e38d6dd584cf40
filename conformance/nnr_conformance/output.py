# SPDX-License-Identifier: Apache-2.0
"""Output files of a decoder: NPZ, safetensors or a report, recognised by content."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

from nnr_conformance.answer import Answer, Report
from nnr_conformance.arrays import Array, load_arrays
from nnr_conformance.errors import SchemaError
from nnr_conformance.json_schema import from_json
from nnr_conformance.safetensors import parse_safetensors

EXTENSIONS = {"npz": ".npz", "safetensors": ".safetensors", "hashes": ".json"}


class OutputError(Exception):
    """Missing or unreadable output of a decoder that reported success."""


def read_output(path: Path) -> Answer:
    """Read an output file with its report (``.json``), syntax trace (``.trace``) and bin trace (``.bins``) beside it.

    Raises
    ------
    OutputError
        If the file is missing or in none of the three formats.
    """
    if not path.is_file():
        raise OutputError(f"no output file {path.name}")
    try:
        answer = _read_main(path)
        beside = path.with_name(path.name + ".json")
        if beside.is_file():
            answer.report = parse_report(beside.read_text(encoding="utf-8"))
        trace = path.with_name(path.name + ".trace")
        if trace.is_file():
            answer.trace = trace.read_text(encoding="utf-8")
        bins = path.with_name(path.name + ".bins")
        if bins.is_file():
            answer.bins = bins.read_text(encoding="utf-8")
    except (ValueError, KeyError, SchemaError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise OutputError(f"{path.name}: {error}") from error
    return answer


def read_partial(paths: Sequence[Path]) -> list[Answer]:
    """Read the outputs that a decoder wrote before it rejected; empty answers where there is none that can be read."""
    answers = []
    for path in paths:
        try:
            answers.append(read_output(path))
        except OutputError:
            answers.append(Answer())
    return answers


def parse_report(text: str) -> Report:
    """Parse a report; raises `SchemaError` or ValueError."""
    return from_json(Report, json.loads(text), "report")


def _read_main(path: Path) -> Answer:
    with path.open("rb") as stream:
        start = stream.read(9)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return sort_arrays(load_arrays(path))
    # The safetensors header is shorter than 2**40 bytes, so the upper three bytes of its length are NUL, unlike any JSON.
    if start[5:9] == b"\0\0\0{":
        return sort_arrays(parse_safetensors(path.read_bytes()))
    if start.lstrip().startswith(b"{"):
        return Answer(report=parse_report(path.read_text(encoding="utf-8")))
    raise OutputError(f"{path.name} is neither NPZ nor safetensors nor a JSON report")


def sort_arrays(arrays: dict[str, Array]) -> Answer:
    """Sort arrays into values, levels and bit positions by the prefix of their names."""
    answer = Answer()
    kinds = {
        "value": answer.values,
        "level": answer.levels,
        "bit": answer.bits,
        "recomposition": answer.recompositions,
    }
    for key, array in arrays.items():
        prefix, colon, name = key.partition(":")
        if colon and prefix in kinds:
            kinds[prefix][name] = array
        else:
            answer.values[key] = array
    return answer
