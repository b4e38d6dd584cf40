# SPDX-License-Identifier: Apache-2.0
"""Certificates: their content, and the verification that finds each kind of tampering."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nnr_conformance.adapter import Adapter
from nnr_conformance.certificate import Certificate, certificate_of, sealed
from nnr_conformance.cli import main
from nnr_conformance.errors import SchemaError, UsageError
from nnr_conformance.identity import FileHash, hash_path, identify
from nnr_conformance.json_schema import from_json, to_json
from nnr_conformance.reports.certificate import page_of, parse_certificate
from nnr_conformance.result import load_log
from nnr_conformance.suite import Suite
from nnr_conformance.toy_suite import write_toy_suite
from nnr_conformance.verify import decoder_faults, verify

Edit = Callable[[dict[str, Any]], object]
DECODER = "broken:none@toy"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Suites, levels and the files of a run."""
    folder = tmp_path_factory.mktemp("certificate")
    write_toy_suite(folder / "suites/toy")
    small = {"name": "small", "title": "For tests", "profile": 0, "capabilities": {}}
    (folder / "levels.json").write_text(json.dumps({"format": "nnr-conformance-levels/1", "levels": [small]}))
    reports = [f"--report={kind}={folder / name}" for kind, name in (
        ("certificate", "c.json"), ("certificate-html", "c.html"), ("log", "run.jsonl"),
    )]  # fmt: skip
    assert (
        main(["run", "-q", "-d", DECODER, "--level", "small", "--suites", str(folder / "suites"), *reports])
        == 0
    )
    return folder


@pytest.fixture(scope="module")
def certificate(folder: Path) -> Certificate:
    return parse_certificate((folder / "c.json").read_text(), "c.json")


def edited(certificate: Certificate, edit: Edit, *, seal: bool) -> Certificate:
    content = to_json(certificate)
    edit(content)
    changed = from_json(Certificate, content)
    return sealed(changed) if seal else changed


def toy(folder: Path) -> list[Suite]:
    return [Suite.load(folder / "suites/toy")]


def test_a_certificate_states_run_decoder_suites_layers_and_time(
    certificate: Certificate, folder: Path
) -> None:
    assert certificate.conforms
    assert certificate.level == "small"
    assert certificate.suites[0].sha256 == toy(folder)[0].manifest_sha256()
    assert certificate.counts == {"PASS": 9}
    assert certificate.layers["values"].passed == 5
    assert certificate.layers["error.bit"].passed + certificate.layers["error.bit"].not_shown == 3
    assert certificate.timing.slowest in [result.vector for result in certificate.results]
    assert [file.name for file in certificate.identity.files] == ["broken.py"]
    assert [result.vector for result in certificate.results if result.beyond] == ["toy/update"]


def test_a_certificate_has_a_line_of_performance(certificate: Certificate) -> None:
    assert "<th>Speed" not in page_of(certificate)
    timed, *rest = certificate.results
    timed = replace(timed, seconds=2.0, n_elements=5_000_000)
    page = page_of(replace(certificate, results=(timed, *rest)))
    assert f"<th>Speed<td>{timed.vector}, 5,000,000 elements in 2.00 s, 2.5 million a second" in page


@pytest.mark.parametrize("name", ["c.json", "c.html"])
def test_an_untouched_certificate_is_verified(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--suites", str(folder / "suites"), "-d", DECODER]
    assert main(["verify", str(folder / name), *options]) == 0
    assert "Verified (decoder's files too)." in capsys.readouterr().out


def test_a_second_run_verifies_verdicts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--suites", str(folder / "suites"), "--rerun", "-d"]
    assert main(["verify", str(folder / "c.json"), *options, DECODER]) == 0
    assert "Verified (by a second run)." in capsys.readouterr().out


def _verdict(content: dict[str, Any], vector: str, verdict: str) -> None:
    for result in content["results"]:
        if result["vector"] == vector:
            result["verdict"] = verdict


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda c: _verdict(c, "toy/dense", "FAIL"), "SHA-256 of the results"),
        (lambda c: c.update(level=""), "SHA-256 of the certificate"),
        (lambda c: c["identity"]["files"][0].update(sha256="0" * 64), "SHA-256 of the certificate"),
        (lambda c: c.update(conforms=False), "SHA-256 of the certificate"),
    ],
)
def test_a_change_shows_in_the_hashes(certificate: Certificate, folder: Path, edit: Edit, fault: str) -> None:
    assert any(fault in line for line in verify(edited(certificate, edit, seal=False), toy(folder)))


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda c: _verdict(c, "toy/dense", "FAIL"), "its results make it not conform"),
        (lambda c: _verdict(c, "toy/dense", "REFUSED"), "only vectors beyond the level can be refused"),
        (lambda c: _verdict(c, "toy/dense", "SKIP"), "differs from the claims"),
        (lambda c: c["results"].pop(), "1 vectors have no result"),
        (lambda c: c["results"][0].update(vector="toy/other"), "not those of the vectors"),
        (lambda c: c["results"][0].update(beyond=True), "beyond the level"),
        (lambda c: c["results"][0].pop("layers"), "passes with a layer that differs"),
        (lambda c: c["results"][0]["layers"].pop("values"), "not those that the vector states"),
        (lambda c: c["results"][0]["layers"].update(values="not shown"), "passes without values"),
        (lambda c: c["results"][0]["layers"].update(trace="fail"), "passes with a layer that differs"),
        (lambda c: c["layers"]["values"].update(passed=6), "`layers` is not the sum"),
        (lambda c: c["timing"].update(seconds=0.001), "`timing` is not the sum"),
        (lambda c: c["counts"].update(PASS=8), "`counts` is not the sum"),
        (lambda c: c.update(conforms=False), "its results make it conform"),
        (lambda c: c.update(level="large"), "no level 'large'"),
        (lambda c: c["suites"][0].update(sha256="0" * 64), "another manifest"),
        (lambda c: c["suites"][0].update(name="core"), "there is no suite core"),
    ],
)  # fmt: skip
def test_a_change_with_new_hashes_shows_in_the_results(
    certificate: Certificate, folder: Path, edit: Edit, fault: str
) -> None:
    faults = verify(edited(certificate, edit, seal=True), toy(folder))
    assert any(fault in line for line in faults), faults


def test_a_damaged_vector_is_found(certificate: Certificate, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "suites/toy", tmp_path / "toy")
    stream = next((tmp_path / "toy/vectors").glob("dense.*.nnc"))
    stream.write_bytes(stream.read_bytes() + b"\0")
    assert any(
        "not the file that the manifest describes" in line
        for line in verify(certificate, [Suite.load(tmp_path / "toy")])
    )


def test_forged_verdicts_need_a_second_run(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Verdicts of another decoder, with right hashes: the files of the decoder and the second run tell."""
    options = ["--suites", str(folder / "suites")]
    forged = tmp_path / "forged.json"
    program = tmp_path / "decoder.py"
    program.write_text(
        "from nnr_conformance.adapters.broken import break_decoder\ndecode = break_decoder('none', 'toy')\n"
    )
    decoder = f"python:{program}:decode"
    assert main(["run", "-q", "-d", decoder, *options, f"--report=certificate={forged}"]) == 0
    assert main(["verify", str(forged), *options, "-d", decoder, "--rerun"]) == 0
    content = program.read_text()
    program.write_text(content.replace("'none'", "'wrong-shape'"))
    capsys.readouterr()
    assert main(["verify", str(forged), *options, "-d", decoder]) == 1
    assert "decoder.py is another file" in capsys.readouterr().out
    # The hash of the changed decoder, put into the certificate, gets past that; the run does not.
    certificate = parse_certificate(forged.read_text(), "forged")
    identity = to_json(identify(Adapter(name="x", kind="python", callable=f"{program}:decode")))
    forged.write_text(
        json.dumps(to_json(edited(certificate, lambda c: c.update(identity=identity), seal=True)))
    )
    assert main(["verify", str(forged), *options, "-d", decoder]) == 0
    assert main(["verify", str(forged), *options, "-d", decoder, "--rerun"]) == 1
    assert "toy/dense: FAIL(values) now, PASS in the certificate" in capsys.readouterr().out
    assert main(["verify", str(forged), *options, "--rerun"]) == 4


def test_a_page_shows_nothing_but_its_certificate(certificate: Certificate) -> None:
    page = page_of(certificate)
    assert parse_certificate(page, "page") == certificate
    assert "Conforms to level small." in page
    with pytest.raises(SchemaError, match="differs"):
        parse_certificate(page.replace("Conforms to level small.", "Conforms to level full."), "page")
    with pytest.raises(SchemaError):
        parse_certificate("<!doctype html><html></html>", "page")
    with pytest.raises(SchemaError):
        parse_certificate("{}", "empty")


def test_a_partial_run_never_conforms(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "part.json"
    options = ["--suites", str(folder / "suites"), f"--report=certificate={path}"]
    assert main(["run", "-q", "-d", DECODER, "toy/dense", *options]) == 0
    part = parse_certificate(path.read_text(), "part")
    assert not part.conforms
    assert part.selection == "ids toy/dense"
    assert verify(part, toy(folder)) == []


def test_a_certificate_is_about_one_complete_run(folder: Path, tmp_path: Path) -> None:
    (log,) = load_log(folder / "run.jsonl")
    assert certificate_of([log]).sha256 == parse_certificate((folder / "c.json").read_text(), "c").sha256
    with pytest.raises(UsageError, match="one run"):
        certificate_of([log, log])
    short = tmp_path / "short.jsonl"
    short.write_text("\n".join((folder / "run.jsonl").read_text().splitlines()[:-1]))
    with pytest.raises(UsageError, match="complete log"):
        certificate_of(load_log(short))


def test_a_decoder_is_identified_by_its_files(tmp_path: Path) -> None:
    script, library = tmp_path / "decode.sh", tmp_path / "library"
    library.mkdir()
    (library / "a.txt").write_text("a")
    script.write_text("exit 1")
    adapter = Adapter(
        name="x",
        kind="command",
        command=(sys.executable, str(script), "{input}", "{output}"),
        files=(str(library),),
    )
    identity = identify(adapter)
    assert identity.command == (Path(sys.executable).name, "decode.sh", "{input}", "{output}")
    assert [file.name for file in identity.files] == [Path(sys.executable).name, "decode.sh", "library"]
    before = hash_path(library)
    (library / "a.txt").rename(library / "b.txt")
    assert hash_path(library) != before


def test_a_run_that_met_no_requirement_does_not_conform(folder: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter.json"
    contract = {"format": "nnr-conformance-adapter/1", "name": "nothing", "kind": "command"}
    command = [sys.executable, "-c", "1", "{inputs}", "{outputs}"]
    adapter.write_text(json.dumps({**contract, "command": command, "profiles": [5]}))
    report = tmp_path / "c.json"
    options = ["--suites", str(folder / "suites"), f"--report=certificate={report}"]
    assert main(["run", "-q", "-d", str(adapter), *options]) == 1
    certificate = parse_certificate(report.read_text(), "c.json")
    assert not certificate.conforms
    forged = sealed(replace(certificate, conforms=True))
    assert "its results make it not conform, it says otherwise" in verify(forged, toy(folder))


def test_the_decoder_has_all_files_of_its_certificate_and_no_others(
    certificate: Certificate, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in ("a/lib.so", "b/lib.so"):
        (tmp_path / name).write_text(name)
    files = (str(tmp_path / "a/lib.so"), str(tmp_path / "b/lib.so"))
    adapter = Adapter(
        format="nnr-conformance-adapter/1", name="d", kind="command", command=(sys.executable,), files=files
    )
    honest = replace(certificate, identity=identify(adapter))
    assert decoder_faults(honest, adapter) == []
    without = replace(honest, identity=replace(honest.identity, files=()))
    assert decoder_faults(without, adapter) == ["the decoder has other files"]
    (tmp_path / "b/lib.so").write_text("another")
    assert decoder_faults(honest, adapter) == ["lib.so is another file"]
    (tmp_path / "b/lib.so").unlink()
    with pytest.raises(UsageError, match="is not here"):
        decoder_faults(honest, adapter)


def test_versions_of_suites_are_verified_and_escaped(certificate: Certificate, folder: Path) -> None:
    suites = tuple(replace(suite, version="<script>alert(1)</script>") for suite in certificate.suites)
    forged = sealed(replace(certificate, suites=suites))
    assert "<script>alert" not in page_of(forged)
    assert verify(forged, toy(folder)) != []


def test_half_of_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(SchemaError, match="surrogate"):
        from_json(FileHash, {"name": "x\ud800", "sha256": "0" * 64})
