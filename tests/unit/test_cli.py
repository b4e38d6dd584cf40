# SPDX-License-Identifier: Apache-2.0
"""Files, messages and exit codes of the commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnr_codec import EncoderConfig, __version__, describe
from nnr_codec.cli import main
from nnr_codec.errors import InternalError, MalformedBitstream
from nnr_codec.files import encoding
from nnr_codec.frameworks import open_model, save_model

MODEL = {
    "conv.weight": np.arange(8, dtype=np.float32).reshape(2, 2, 2),
    "half": np.array([0.5, 2], np.float16),
    "step": np.array(3, np.int64),
    "\x1b[31mevil": np.ones(2, np.float32),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_model("m.safetensors", MODEL, metadata={"by": "us"})
    return tmp_path


def same_model(path: Path, original: Path) -> None:
    """Assert that two files hold the same names, types, shapes and metadata in one order, and nearly the same values."""
    with open_model(path) as after, open_model(original) as before:
        assert after.names() == before.names()
        assert (after.dtypes, after.shapes, after.metadata) == (before.dtypes, before.shapes, before.metadata)
        for name in before:
            np.testing.assert_allclose(
                after[name], before[name], rtol=0, atol=0.02 * np.abs(before[name]).max()
            )


@pytest.mark.parametrize(
    "names", [["m.nnr", "back.safetensors"], [None, "back.safetensors"], ["m.nnr", None]]
)
def test_there_and_back(folder: Path, names: list[str | None]) -> None:
    stream, restored = names
    assert main(["encode", "m.safetensors", *filter(None, [stream])]) == 0
    original = (
        Path("m.safetensors").rename("original.safetensors") if restored is None else Path("m.safetensors")
    )
    assert main(["decode", "m.nnr", *filter(None, [restored])]) == 0
    same_model(Path(restored or "m.safetensors"), original)
    assert not [name for name in os.listdir(folder) if name.endswith(".part")]


@pytest.fixture
def configs(monkeypatch: pytest.MonkeyPatch) -> list[EncoderConfig]:
    """Record the configurations that reach the encoder."""
    seen: list[EncoderConfig] = []
    real = encoding.encode

    def recording(tensors: Any, config: EncoderConfig, **options: Any) -> bytes:
        seen.append(config)
        return real(tensors, config, **options)

    monkeypatch.setattr(encoding, "encode", recording)
    return seen


@pytest.mark.usefixtures("folder")
def test_options_reach_the_encoder_and_defaults_stay_its_own(configs: list[EncoderConfig]) -> None:
    assert main(["encode", "m.safetensors", "a.nnr"]) == 0
    arguments = "--qp -30 --qp-for hal*=-40 --qp-for *=-20 --no-dependent --row-skip --profile 0 --scan-order 2 --checksum"
    assert main(["encode", "m.safetensors", "b.nnr", *arguments.split()]) == 0
    assert configs == [
        EncoderConfig(),
        EncoderConfig(
            qp=-30, qp_by_name=(("hal*", -40), ("*", -20)), dependent=False, row_skip=True, general_profile_idc=0,
            scan_order=2, checksum=True,
        ),
    ]  # fmt: skip
    assert main(["decode", "b.nnr", "b.npz", "--require-checksum"]) == 0
    assert main(["decode", "a.nnr", "a.npz", "--require-checksum"]) == 1


@pytest.mark.usefixtures("folder")
def test_decoding_one_tensor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "m.safetensors"]) == 0
    assert main(["decode", "m.nnr", "half.npz", "--only", "half"]) == 0
    with open_model("half.npz") as restored:
        assert restored.names() == ("half",)
        assert restored["half"].dtype == np.float16
    capsys.readouterr()
    assert main(["decode", "m.nnr", "x.npz", "--only", "hal"]) == 1
    assert "did you mean half?" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_tied_tensors_are_coded_once_and_come_back_tied() -> None:
    import torch

    shared = torch.arange(3.0)
    torch.save({"b": shared, "a": shared, "c": torch.ones(2)}, "tied.pt")
    assert main(["encode", "tied.pt"]) == 0
    assert [tensor.name for tensor in describe("tied.nnr").tensors] == ["b", "c"]
    assert main(["decode", "tied.nnr", "again.pt"]) == 0
    again = torch.load("again.pt", weights_only=True)
    assert list(again) == ["b", "a", "c"]
    assert again["a"].data_ptr() == again["b"].data_ptr()
    assert main(["decode", "tied.nnr", "a.npz", "--only", "a"]) == 0
    with open_model("a.npz") as restored:
        assert restored["a"].tolist() == pytest.approx([0, 1, 2], abs=0.01)


@pytest.mark.usefixtures("folder")
def test_an_onnx_model_comes_back_whole() -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["y"])], "g", [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [numpy_helper.from_array(np.array([1, 2], np.float32), "w")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph), "m.onnx")
    assert main(["encode", "m.onnx"]) == 0
    assert main(["decode", "m.nnr", "n.onnx"]) == 0
    before, after = onnx.load("m.onnx"), onnx.load("n.onnx")
    weights = numpy_helper.to_array(after.graph.initializer[0])
    assert weights.tolist() == pytest.approx([1, 2], abs=0.01)
    after.graph.initializer[0].CopyFrom(before.graph.initializer[0])
    assert after == before


@pytest.mark.usefixtures("folder")
def test_nothing_is_overwritten_unless_forced(capsys: pytest.CaptureFixture[str]) -> None:
    Path("m.nnr").write_bytes(b"precious")
    assert main(["encode", "m.safetensors", "m.nnr"]) == 1
    assert Path("m.nnr").read_bytes() == b"precious"
    assert capsys.readouterr().err == "nnr: m.nnr: exists already; --force overwrites it\n"
    assert main(["encode", "m.safetensors", "m.nnr", "--force"]) == 0
    assert main(["decode", "m.nnr", "m.safetensors"]) == 1
    assert main(["encode", "m.safetensors", "m.safetensors", "--force"]) == 1
    assert main(["decode", "m.nnr", "m.nnr", "-f"]) == 1


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (
            MalformedBitstream("bad \x1b[2J name", path="nnr_unit[3]", bit_offset=17),
            1,
            "nnr: bad \\x1b[2J name [",
        ),
        (OSError(28, "No space left on device"), 1, "nnr: m.nnr: No space left on device\n"),
        (MemoryError(), 1, "nnr: not enough memory\n"),
        (InternalError("impossible"), 1, "nnr: a bug in nnr_codec: InternalError: impossible"),
        (ZeroDivisionError("x"), 1, "nnr: a bug in nnr_codec: ZeroDivisionError: x"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_failures_are_a_line_and_leave_no_file(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    code: int,
    message: str,
) -> None:
    monkeypatch.setattr(encoding, "encode", failing(failure))
    before = os.listdir(folder)
    assert main(["encode", "m.safetensors", "m.nnr"]) == code
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1
    assert os.listdir(folder) == before


def failing(failure: BaseException) -> Callable[..., bytes]:
    """Return an encoder that fails when half of the stream is written."""

    def encode(tensors: Any, config: EncoderConfig, *, file: Any, **options: Any) -> bytes:
        del tensors, config, options
        file.write(b"half")
        raise failure

    return encode


@pytest.mark.usefixtures("folder")
def test_a_bug_shows_its_place_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "encode", failing(ZeroDivisionError()))
    monkeypatch.setenv("NNR_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["encode", "m.safetensors"])


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "arguments",
    [
        "frobnicate", "encode", "encode m.safetensors a b", "encode m.safetensors --qp x",
        "encode m.safetensors --qp-for =3", "encode m.safetensors --qp-for head",
        "encode m.safetensors --profile 2", "decode coded.nnr --dtype int7",
        "decode m.nnr --threads 0", "--frobnicate",
    ],
)  # fmt: skip
def test_wrong_usage_is_2_and_one_line(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "m.safetensors", "coded.nnr", "-q"]) == 0
    assert main(arguments.split()) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "--help" in captured.err
    assert captured.out == ""


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "nnr demo" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "arguments", ["encode absent.pt", "decode absent.nnr", "info absent.nnr", "encode m.safetensors no/m.nnr"]
)
def test_files_that_are_not_there(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments.split()) == 1
    assert capsys.readouterr().err.endswith("No such file or directory\n")


@pytest.mark.parametrize("command", ["encode", "decode", "info", "demo"])
def test_every_command_shows_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"Examples:\n    nnr {command}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"nnr, version {__version__}\n"


@pytest.mark.usefixtures("folder")
def test_info_lists_units_and_neutralises_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "m.safetensors", "-q"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["info", "m.nnr"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("m.nnr: profile 1, 7 units, ")
    assert [line.split()[2] for line in lines[2:]][:3] == ["NNR_STR", "NNR_MPS", "NNR_TPL"]
    assert lines[5].split()[3:] == ["FLOAT", "2x2x2", lines[5].split()[5], "conv.weight"]
    assert lines[8].endswith("\\x1b[31mevil")
    assert lines[-1].startswith("4 tensors, 13 weights, ")


def test_demo_reports_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    assert "8 tensors, 85,066 weights" in out
    assert "accuracy before compression     98.50% of 600 digits" in out
    assert "accuracy after compression      98." in out
    assert "relative error of the weights" in out


def run(code: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    # What runs in the background of a shell script ignores SIGINT, and so would its children.
    undisturbed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    return subprocess.Popen(
        [sys.executable, "-c", undisturbed + code, *arguments], stdout=pipe, stderr=pipe, text=True, **options
    )


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    code = (
        "import sys, click; from nnr_codec.cli import app; app.COMMANDS['x'] = ('x', ''); import types;"
        "m = types.ModuleType('x'); sys.modules['x'] = m;"
        "m.command = click.command('x')(lambda: [click.echo('line') for _ in range(100000)] and None);"
        "sys.exit(app.run(['x']))"
    )
    with run(code) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "line\n"
        process.stdout.close()
        assert process.wait(20) == 141
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.skipif(os.name != "posix", reason="signals of other systems differ")
def test_signals_leave_no_file(tmp_path: Path, number: int, code: int) -> None:
    save_model(tmp_path / "m.safetensors", MODEL)
    slow = (
        "import sys, time; from nnr_codec.cli import main; from nnr_codec.files import encoding;"
        "encoding.encode = lambda *a, file, **k: ("
        "file.write(b'half'), print('started', flush=True), time.sleep(60));"
        "sys.exit(main(['encode', 'm.safetensors']))"
    )
    with run(slow, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        assert process.wait(20) == code
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_help_loads_no_framework() -> None:
    code = (
        "import sys; from nnr_codec.cli import main; main(['--help']);"
        "heavy = ('torch', 'onnx', 'rich', 'safetensors');"
        "print([m for m in heavy if m in sys.modules], file=sys.stderr)"
    )
    _, error = run(code).communicate()
    assert error == "[]\n"


@pytest.mark.usefixtures("folder")
def test_a_recipe_is_kept_and_taken_by_a_later_run(configs: list[EncoderConfig]) -> None:
    options = ["--keep", "half", "--exact", "conv.*", "--effort", "fast"]
    assert main(["encode", "m.safetensors", "a.nnr", *options, "--save-recipe", "r.json"]) == 0
    assert main(["encode", "m.safetensors", "b.nnr", "--recipe", "r.json"]) == 0
    assert main(["encode", "m.safetensors", "c.nnr", "--recipe", "r.json", "--effort", "slow"]) == 0
    assert configs[0] == configs[1] == EncoderConfig(keep=("half",), exact=("conv.*",), effort="fast")
    assert configs[2] == EncoderConfig(keep=("half",), exact=("conv.*",), effort="slow")
    assert Path("a.nnr").read_bytes() == Path("b.nnr").read_bytes()
    Path("bad.json").write_text("[]")
    assert main(["encode", "m.safetensors", "d.nnr", "--recipe", "bad.json"]) == 2
    assert main(["encode", "m.safetensors", "d.nnr", "--save-recipe", "no/r.json"]) == 1
    assert not Path("d.nnr").exists()
