# SPDX-License-Identifier: Apache-2.0
"""The commands, over a codec that copies: what is tested is files, messages and exit codes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnr_codec import __version__
from nnr_codec.cli import main, port
from nnr_codec.codec.stream.source_description import SourceDescription
from nnr_codec.codec.stream.summary import StreamSummary, TensorSummary, UnitSummary
from nnr_codec.errors import InternalError, MalformedBitstream
from nnr_codec.frameworks import open_model, save_model, tag_of
from nnr_codec.model import Limits, NnrUnitType, PayloadType

MODEL = {
    "conv.weight": np.arange(8, dtype=np.float32).reshape(2, 2, 2),
    "half": np.array([0.5, 2], np.float16),
    "step": np.array(3, np.int64),
    "\x1b[31mevil": np.ones(2, np.float32),
}


class CopyingCodec:
    """Stands for the codec: its stream is an NPZ archive, and floats come back as float32."""

    def __init__(self) -> None:
        self.options: Mapping[str, Any] = {}
        self.decoded: Sequence[str] | None = None
        self.failure: BaseException | None = None

    def encode(
        self, tensors: Any, config: Any, *, file: Any, kind: str, metadata: Mapping[str, str], threads: int,
        on_tensor: Callable[[str], None],
    ) -> None:  # fmt: skip
        dtypes = {name: tensors.dtype_of(name) for name in tensors} if hasattr(tensors, "dtype_of") else {}
        text = json.dumps([kind, metadata, dtypes]).encode()
        arrays = {}
        for name in tensors:
            arrays[name] = tensors[name]
            on_tensor(name)
        stream = io.BytesIO()
        np.savez(stream, **arrays, **{"<origin>": np.frombuffer(text, np.uint8)})
        file.write(stream.getvalue()[:100])
        if self.failure is not None:
            raise self.failure
        file.write(stream.getvalue()[100:])

    def decode(
        self,
        path: str,
        names: Sequence[str] | None,
        *,
        on_tensor: Callable[[str], None],
        **reading: Any,
    ) -> Iterator[tuple[str, Any]]:
        self.decoded = names
        if self.failure is not None:
            raise self.failure
        with np.load(path) as stream:
            for name in [n for n in stream.files if n != "<origin>"] if names is None else names:
                array = stream[name]
                yield name, array.astype(np.float32) if array.dtype.kind == "f" else array

    def configure(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def describe_source(self, path: str, limits: Limits | None = None) -> SourceDescription:
        with np.load(path) as stream:
            kind, metadata, dtypes = json.loads(stream["<origin>"].tobytes())
        return SourceDescription(kind, metadata, dtypes)

    def describe(self, path: str, limits: Limits | None = None) -> StreamSummary:
        source = self.describe_source(path)
        tensors = []
        with np.load(path) as stream:
            for name in stream.files:
                if name != "<origin>":
                    dtype = source.dtypes.get(name) or tag_of(stream[name].dtype) or ""
                    shape = stream[name].shape
                    tensors.append(TensorSummary(name, shape, dtype, PayloadType.NNR_PT_FLOAT, 2, 13, 20))
        units = [
            UnitSummary(0, 0, 4, NnrUnitType.NNR_STR),
            UnitSummary(1, 4, 9, NnrUnitType.NNR_TPL),
            *(UnitSummary(2, 13, 20, NnrUnitType.NNR_NDU, (tensor,)) for tensor in tensors),
        ]
        size = os.path.getsize(path)
        return StreamSummary(size, 1, False, source.kind, source.metadata, tuple(units), tuple(tensors))


@pytest.fixture
def codec(monkeypatch: pytest.MonkeyPatch) -> CopyingCodec:
    fake = CopyingCodec()
    for name in ("encode", "decode", "describe", "describe_source", "configure"):
        monkeypatch.setattr(port, name, getattr(fake, name))
    return fake


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_model("m.safetensors", MODEL, metadata={"by": "us"})
    return tmp_path


@pytest.mark.usefixtures("codec")
@pytest.mark.parametrize(
    "names", [["m.nnr", "back.safetensors"], [None, "back.safetensors"], ["m.nnr", None]]
)
def test_there_and_back(folder: Path, names: list[str | None]) -> None:
    stream, restored = names
    assert main(["encode", "m.safetensors", *filter(None, [stream])]) == 0
    original = Path("m.safetensors").read_bytes()
    if restored is None:
        Path("m.safetensors").unlink()
    assert main(["decode", "m.nnr", *filter(None, [restored])]) == 0
    assert Path(restored or "m.safetensors").read_bytes() == original
    assert not [name for name in os.listdir(folder) if name.endswith(".part")]


@pytest.mark.usefixtures("folder")
def test_options_reach_the_encoder_and_defaults_stay_its_own(codec: CopyingCodec) -> None:
    assert main(["encode", "m.safetensors", "a.nnr"]) == 0
    assert codec.options == {}
    arguments = (
        "--qp -30 --qp-for head.*=-40 --qp-for *=-20 --no-dependent --row-skip --profile 0 --scan-order 2"
    )
    assert main(["encode", "m.safetensors", "b.nnr", *arguments.split()]) == 0
    assert codec.options == {
        "qp": -30, "qp_by_name": (("head.*", -40), ("*", -20)), "dependent": False, "row_skip": True,
        "general_profile_idc": 0, "scan_order": 2,
    }  # fmt: skip


@pytest.mark.usefixtures("folder")
def test_decoding_one_tensor(codec: CopyingCodec, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "m.safetensors"]) == 0
    assert main(["decode", "m.nnr", "half.npz", "--only", "half"]) == 0
    assert codec.decoded == ["half"]
    with open_model("half.npz") as restored:
        assert restored.names() == ("half",)
        assert restored["half"].dtype == np.float16
    capsys.readouterr()
    assert main(["decode", "m.nnr", "x.npz", "--only", "hal"]) == 1
    assert "did you mean half?" in capsys.readouterr().err


@pytest.mark.usefixtures("codec", "folder")
def test_tied_tensors_are_coded_once_and_come_back_tied() -> None:
    import torch

    shared = torch.arange(3.0)
    torch.save({"b": shared, "a": shared, "c": torch.ones(2)}, "tied.pt")
    assert main(["encode", "tied.pt"]) == 0
    with np.load("tied.nnr") as stream:
        assert sorted(stream.files) == ["<origin>", "b", "c"]
    assert main(["decode", "tied.nnr", "again.pt"]) == 0
    again = torch.load("again.pt", weights_only=True)
    assert list(again) == ["b", "a", "c"]
    assert again["a"].data_ptr() == again["b"].data_ptr()
    assert main(["decode", "tied.nnr", "a.npz", "--only", "a"]) == 0
    with open_model("a.npz") as restored:
        assert restored["a"].tolist() == [0, 1, 2]


@pytest.mark.usefixtures("codec", "folder")
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
    assert onnx.load("n.onnx") == onnx.load("m.onnx")


@pytest.mark.usefixtures("folder")
def test_nothing_is_overwritten_unless_told(codec: CopyingCodec, capsys: pytest.CaptureFixture[str]) -> None:
    Path("m.nnr").write_bytes(b"precious")
    assert main(["encode", "m.safetensors", "m.nnr"]) == 1
    assert Path("m.nnr").read_bytes() == b"precious"
    assert capsys.readouterr().err == "nnr: m.nnr: exists already; --force overwrites it\n"
    assert main(["encode", "m.safetensors", "m.nnr", "--force"]) == 0
    assert main(["decode", "m.nnr", "m.safetensors"]) == 1
    assert codec.decoded is None
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
        (OSError(28, "No space left on device"), 1, "nnr: No space left on device\n"),
        (MemoryError(), 1, "nnr: not enough memory\n"),
        (InternalError("impossible"), 1, "nnr: a bug in nnr_codec: InternalError: impossible"),
        (ZeroDivisionError("x"), 1, "nnr: a bug in nnr_codec: ZeroDivisionError: x"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_failures_are_a_line_and_leave_no_file(
    codec: CopyingCodec,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    failure: BaseException,
    code: int,
    message: str,
) -> None:
    codec.failure = failure
    before = os.listdir(folder)
    assert main(["encode", "m.safetensors", "m.nnr"]) == code
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1
    assert os.listdir(folder) == before


def test_a_bug_shows_its_place_when_asked(
    codec: CopyingCodec, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec.failure = ZeroDivisionError()
    monkeypatch.setenv("NNR_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["encode", "m.safetensors"])


@pytest.mark.usefixtures("codec", "folder")
@pytest.mark.parametrize(
    "arguments",
    [
        "frobnicate", "encode", "encode m.safetensors a b", "encode m.safetensors --qp x",
        "encode m.safetensors --qp-for =3", "encode m.safetensors --qp-for head",
        "encode m.safetensors --profile 2", "decode coded.nnr model.safetensor",
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


@pytest.mark.usefixtures("codec", "folder")
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


@pytest.mark.usefixtures("codec", "folder")
def test_info_lists_units_and_neutralises_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "m.safetensors", "-q"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["info", "m.nnr"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("m.nnr: profile 1, 6 units, ")
    assert lines[4].split() == ["13", "20", "NNR_NDU", "FLOAT", "2x2x2", "20.00", "conv.weight"]
    assert lines[7].endswith("\\x1b[31mevil")
    assert lines[-1].startswith("4 tensors, 13 weights, ")


@pytest.mark.usefixtures("codec")
def test_demo_reports_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    assert "8 tensors, 85,066 weights" in out
    assert "digits read right, before       98.50% of 600" in out
    assert "digits read right, after        98.50%" in out
    assert "relative error of the weights   0.00%" in out


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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.skipif(os.name != "posix", reason="signals of other systems differ")
def test_signals_leave_no_file(tmp_path: Path, number: int, code: int) -> None:
    save_model(tmp_path / "m.safetensors", MODEL)
    slow = (
        "import sys, time; from nnr_codec.cli import main, port;"
        "port.encode = lambda *a, file, **k: ("
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


def test_help_is_fast_and_loads_no_framework() -> None:
    code = (
        "import sys; from nnr_codec.cli import main; main(['--help']);"
        "heavy = ('torch', 'onnx', 'rich', 'safetensors');"
        "print([m for m in heavy if m in sys.modules], file=sys.stderr)"
    )
    started = time.perf_counter()
    process = run(code)
    _, error = process.communicate()
    assert error == "[]\n"
    assert time.perf_counter() - started < 5
