# SPDX-License-Identifier: Apache-2.0
"""Every reader of streams checks every limit before allocation, and the command line sets limits."""

import io
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnr_codec import BitstreamError, Decoder, LimitExceeded, Limits, decode, describe, encode
from nnr_codec.cli.app import run
from nnr_codec.codec.stream.unit_index import UnitIndex
from nnr_codec.inspect import Severity, Survey, validate
from nnr_codec.model import StartUnit, TopologyCompressionFormat, TopologyStorageFormat, TopologyUnit
from nnr_codec.syntax import SyntaxState, build_unit
from tools.attacks import ATTACKS, MIB, measure

RNG = np.random.default_rng(0)
TWO = encode(
    {"first": RNG.normal(0, 1, (6, 7)).astype(np.float32), "second": RNG.normal(0, 1, 9).astype(np.float32)}
)
BOOK = encode(
    {"w": RNG.choice([0.0, 0.25, -0.5], (9, 8)).astype(np.float32)}, dependent=False, codebook=True, qp=-8
)
ZEROS = encode({"w": np.zeros((400, 400), np.float32)})
INFLATED = build_unit(StartUnit(1), SyntaxState()) + build_unit(
    TopologyUnit(TopologyStorageFormat.NNR_TPL_NNEF, TopologyCompressionFormat.NNR_DFL, bytes(1000)),
    SyntaxState(general_profile_idc=1),
)

#: A limit that the stream goes just beyond, and the stream.
BEYOND: dict[str, tuple[dict[str, Any], bytes]] = {
    "max_stream_bytes": ({"max_stream_bytes": len(TWO) - 1}, TWO),
    "max_units": ({"max_units": 3}, TWO),
    "max_unit_bytes": ({"max_unit_bytes": 20}, TWO),
    "max_tensor_elements": ({"max_tensor_elements": 41}, TWO),
    "max_total_elements": ({"max_total_elements": 50}, TWO),
    "max_dimensions": ({"max_dimensions": 1}, TWO),
    "max_name_bytes": ({"max_name_bytes": 4}, TWO),
    "max_codebook_size": ({"max_codebook_size": 2}, BOOK),
    "max_topology_bytes": ({"max_topology_bytes": 999}, INFLATED),
    "max_expansion_ratio": ({"max_expansion_ratio": 100, "expansion_floor_bytes": 0}, ZEROS),
    "max_seconds": ({"max_seconds": 0.0}, TWO),
}
#: Where no unit can go beyond them as long as their kind of unit is not decoded, or there is a test elsewhere.
ELSEWHERE = {"max_names", "max_nesting", "max_updates_kept", "expansion_floor_bytes"}


def _validate(stream: bytes, limits: Limits) -> None:
    findings = validate([stream], limits=limits)
    for finding in findings:
        if finding.severity is Severity.UNCHECKED and finding.message.startswith("LimitExceeded"):
            raise LimitExceeded(finding.message)


def _survey(stream: bytes, limits: Limits) -> None:
    for piece in Survey(stream, limits=limits, payloads=True):
        for fault in piece.faults:
            if fault.kind == "LimitExceeded":
                raise LimitExceeded(fault.message)


READERS: dict[str, Callable[[bytes, Limits], Any]] = {
    "decode": lambda stream, limits: decode(stream, limits=limits),
    "describe": lambda stream, limits: describe(stream, limits=limits),
    "validate": _validate,
    "survey": _survey,
}


def test_there_is_a_test_for_every_limit() -> None:
    assert {field.name for field in fields(Limits)} == BEYOND.keys() | ELSEWHERE


@pytest.mark.parametrize("limit", BEYOND)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_keeps_every_limit(reader: str, limit: str) -> None:
    settings, stream = BEYOND[limit]
    with pytest.raises(LimitExceeded, match=limit):
        READERS[reader](stream, Limits(**settings))


@pytest.mark.parametrize("limit", BEYOND)
def test_an_index_keeps_every_limit(tmp_path: Path, limit: str) -> None:
    settings, stream = BEYOND[limit]
    path = tmp_path / "m.nnr"
    path.write_bytes(stream)
    with pytest.raises(LimitExceeded, match=limit):
        UnitIndex.write(path, io.BytesIO(), limits=Limits(**settings))


@pytest.mark.parametrize("stream", [TWO, BOOK, ZEROS, INFLATED], ids=["two", "book", "zeros", "inflated"])
def test_the_defaults_let_models_through(stream: bytes) -> None:
    decode(stream)
    decode(stream, limits=Limits.none())


def test_a_file_object_is_read_no_further_than_allowed() -> None:
    class Endless(io.RawIOBase):
        n_bytes_read = 0

        def read(self, size: int = -1) -> bytes:
            assert size >= 0, "read to the end"
            self.n_bytes_read += size
            return bytes(size)

    source = Endless()
    with pytest.raises(BitstreamError):
        decode(source, limits=Limits(max_stream_bytes=1 << 22))
    assert source.n_bytes_read <= (1 << 22) + 1


@pytest.mark.parametrize(
    "command",
    [
        ["decode", "m.nnr", "out.npz"],
        ["info", "m.nnr"],
        ["index", "m.nnr"],
        ["dump", "m.nnr"],
        ["diff", "m.nnr", "m.nnr"],
        ["validate", "m.nnr"],
    ],
    ids=lambda command: command[0],
)
def test_every_command_that_reads_streams_takes_limits(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.nnr").write_bytes(TWO)
    assert run([*command, "--limit", "max_units=2"]) != 0
    message = capsys.readouterr()
    assert "max_units" in message.out + message.err
    assert len(message.err.splitlines()) <= 1
    assert not Path("out.npz").exists()
    assert run([*command, "--limit", "none", "--limit", "max_units=2000"]) == 0


@pytest.mark.parametrize("text", ["max_unit=3", "max_units", "max_units=many", "max_units=-1"])
def test_a_limit_that_is_none_is_wrong_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "m.nnr", "--limit", text]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("claim", ATTACKS)
def test_few_bytes_that_claim_much_are_refused(claim: str) -> None:
    message, _, cpu, mib = measure(ATTACKS[claim]())
    assert message.startswith("LimitExceeded")
    assert mib < MIB
    # Ten times what `python -m tools.attacks` shows on a quiet machine: here tests run side by side.
    assert cpu < 0.5


@pytest.mark.parametrize(
    ("bounds", "kind"),
    [
        ({"max_units": 1.5}, TypeError),
        ({"max_total_elements": 1e9}, TypeError),
        ({"max_name_bytes": "10"}, TypeError),
        ({"max_seconds": "1"}, TypeError),
        ({"max_units": -1}, ValueError),
        ({"max_seconds": -0.5}, ValueError),
        ({"max_seconds": float("nan")}, ValueError),
    ],
    ids=str,
)
def test_a_bound_that_native_code_cannot_compare_is_refused(
    bounds: dict[str, Any], kind: type[Exception]
) -> None:
    """It must not count as no bound at all."""
    with pytest.raises(kind, match=next(iter(bounds))):
        Limits(**bounds)
    assert Limits(max_units=np.int64(7)).max_units == 7


@pytest.mark.parametrize(
    ("shape", "kind"), [((-1, 3), ValueError), ("ab", TypeError), ((1.5,), TypeError), (None, TypeError)]
)
def test_a_shape_that_is_none_is_refused(shape: Any, kind: type[Exception]) -> None:
    """With the error of a wrong argument, by decoder and description."""
    with pytest.raises(kind):
        Decoder(dimensions={"w": shape})
    with pytest.raises(kind):
        describe(TWO, dimensions={"w": shape})


def test_a_wanted_name_is_a_text() -> None:
    with pytest.raises(TypeError, match="str"):
        Decoder().decode(TWO, names=[3])  # type: ignore[list-item]  # not a name
