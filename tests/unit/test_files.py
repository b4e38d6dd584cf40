# SPDX-License-Identifier: Apache-2.0
"""Model files to streams and back: functions, pipes and lazy access."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnr_codec
from nnr_codec import NotEncodable, QuantizedTensor
from nnr_codec.files.verification import compare
from nnr_codec.frameworks import TensorDescription, open_model, save_model

RNG = np.random.default_rng(5)
MODEL = {
    "body.weight": RNG.standard_normal((40, 50)).astype(np.float32),
    "body.bias": RNG.standard_normal(40).astype(np.float16),
    "steps": np.array(7, np.int64),
    "none": np.zeros((0, 3), np.float32),
}
posix = pytest.mark.skipif(os.name != "posix", reason="pipes and signals of POSIX")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_model("m.safetensors", MODEL, metadata={"by": "us"})
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_a_model_file_there_and_back() -> None:
    seen: list[tuple[str, int, int]] = []
    report = nnr_codec.encode_file("m.safetensors", progress=lambda *step: seen.append(step), verify=True)
    assert report.path == "m.nnr"
    assert (report.kind, report.n_tensors, report.n_weights) == ("safetensors", 4, 2041)
    assert (report.model_bytes, report.stream_bytes) == (
        os.path.getsize("m.safetensors"),
        os.path.getsize("m.nnr"),
    )
    assert seen[-1][1:] == (8088, 8088)
    assert {error.name: error.is_exact for error in report.errors} == {
        "body.weight": False, "body.bias": False, "steps": True, "none": True,
    }  # fmt: skip
    assert max(error.relative_error for error in report.errors) < 0.021
    decoded = nnr_codec.decode_file("m.nnr", "back.safetensors")
    assert (decoded.kind, decoded.n_tensors, decoded.model_bytes) == (
        "safetensors",
        4,
        os.path.getsize("back.safetensors"),
    )
    with open_model("back.safetensors") as back:
        assert back.metadata == {"by": "us"}
        assert back.dtypes == {"body.weight": "F32", "body.bias": "F16", "steps": "I64", "none": "F32"}


@pytest.mark.usefixtures("folder")
def test_file_objects_at_both_ends() -> None:
    stream, model = io.BytesIO(), io.BytesIO()
    with open("m.safetensors", "rb") as file:
        assert nnr_codec.encode_file(file, stream).path is None
    stream.seek(0)
    assert nnr_codec.decode_file(stream, model, kind="npz").path is None
    assert np.load(io.BytesIO(model.getvalue()))["steps"] == 7
    with pytest.raises(TypeError, match="name"):
        nnr_codec.encode_file(io.BytesIO(b"x"))
    with pytest.raises(NotEncodable) as caught:
        nnr_codec.encode_file(io.BytesIO(b"junk"), io.BytesIO())
    assert "standard input" in str(caught.value)


@pytest.mark.usefixtures("folder")
def test_all_floats_in_another_type() -> None:
    nnr_codec.encode_file("m.safetensors")
    for dtype, tag in (("bfloat16", "BF16"), ("F64", "F64"), ("float16", "F16")):
        nnr_codec.decode_file("m.nnr", f"{tag}.safetensors", dtype=dtype)
        with open_model(f"{tag}.safetensors") as model:
            assert model.dtypes == {"body.weight": tag, "body.bias": tag, "steps": "I64", "none": tag}
    with pytest.raises(ValueError, match="dtype is one of"):
        nnr_codec.decode_file("m.nnr", "x.npz", dtype="int8")


@pytest.mark.usefixtures("folder")
def test_a_stream_is_never_written_over_a_model_nor_a_model_over_a_stream() -> None:
    model = Path("m.safetensors").read_bytes()
    Path("other.safetensors").write_bytes(model)
    Path("blob").write_bytes(model)
    for target in ("other.safetensors", "new.npz", "blob", "m.safetensors"):
        with pytest.raises(NotEncodable) as caught:
            nnr_codec.encode_file("m.safetensors", target, overwrite=True)
        assert caught.value.path == target
    assert Path("other.safetensors").read_bytes() == Path("blob").read_bytes() == model
    nnr_codec.encode_file("m.safetensors", "a")
    stream = Path("a").read_bytes()
    with pytest.raises(NotEncodable):
        nnr_codec.decode_file("a", "a", kind="npz", overwrite=True)
    Path("b").write_bytes(stream)
    with pytest.raises(NotEncodable):
        nnr_codec.decode_file("a", "b", kind="npz", overwrite=True)
    assert Path("b").read_bytes() == stream


def test_verifying_measures_what_a_stream_lost() -> None:
    original = np.array([[3.0, 4.0], [np.nan, -np.inf]], np.float32)
    decoded = np.array([[3.0, 4.5], [np.nan, -np.inf]], np.float32)
    error = compare("w", original, decoded)
    assert error.relative_error == pytest.approx(0.1)
    assert error.largest_error == pytest.approx(0.5)
    assert compare("w", original, original).is_exact
    for wrong in (decoded[:1], np.nan_to_num(decoded)):
        with pytest.raises(nnr_codec.InternalError):
            compare("w", original, wrong)


@pytest.mark.usefixtures("folder")
def test_one_tensor_of_an_open_stream() -> None:
    nnr_codec.encode_file("m.safetensors")
    whole = nnr_codec.decode("m.nnr")
    for source in ("m.nnr", Path("m.nnr"), Path("m.nnr").read_bytes()):
        with nnr_codec.open(source) as stream:
            assert list(stream) == list(MODEL)
            assert stream.kind == "safetensors"
            assert stream.describe("body.bias").dtype == "F16"
            for name in MODEL:
                np.testing.assert_array_equal(stream[name], whole[name])
                assert stream[name].dtype == whole[name].dtype
            levels = stream.levels("body.weight")
            assert isinstance(levels, QuantizedTensor)
            np.testing.assert_array_equal(levels.dequantize(), whole["body.weight"])
            with pytest.raises(KeyError):
                stream["missing"]
    encoder = nnr_codec.Encoder(nnr_codec.EncoderConfig(incremental=True))
    with pytest.raises(NotEncodable, match="series of updates"):
        nnr_codec.open(encoder.encode({"w": MODEL["body.weight"]}))


def nnr(*arguments: str, **options: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "nnr_codec.cli", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload, no-any-return] - options of any type


@posix
@pytest.mark.parametrize(
    "line",
    [
        "{nnr} encode m.safetensors - > x.nnr",
        "{nnr} encode m.safetensors /dev/stdout > x.nnr",
        "cat m.safetensors | {nnr} encode - > x.nnr",
        "cat m.safetensors | {nnr} encode /dev/stdin x.nnr",
        "{nnr} encode <(cat m.safetensors) x.nnr",
        "{nnr} encode m.safetensors >(cat > x.nnr); sleep 0.5",
    ],
)
def test_pipes(folder: Path, line: str) -> None:
    program = f"{sys.executable} -m nnr_codec.cli"
    subprocess.run(["bash", "-c", f"set -o pipefail; {line.format(nnr=program)}"], check=True)
    for back in ("{nnr} decode x.nnr - > y.safetensors", "cat x.nnr | {nnr} decode - y.safetensors"):
        subprocess.run(["bash", "-c", f"set -o pipefail; {back.format(nnr=program)}"], check=True)
        with open_model("y.safetensors") as model:
            assert list(model) == list(MODEL)
        (folder / "y.safetensors").unlink()
    info = f"{program} info <(cat x.nnr) && cat x.nnr | {program} info -"
    subprocess.run(["bash", "-c", info], check=True, stdout=subprocess.DEVNULL)


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_one_long_call_of_the_native_core_at_once(folder: Path, number: int) -> None:
    np.savez("large.npz", w=RNG.standard_normal((16000, 1024), dtype=np.float32))
    before = sorted(os.listdir(folder))
    undisturbed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    code = f"{undisturbed} from nnr_codec.cli import main; main(['encode', '--threads', '1', 'large.npz'])"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        # The unfinished file appears when encoding begins.
        while sorted(os.listdir(folder)) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(number)
        process.wait(20)
        assert process.returncode == 128 + number
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize(
    "goal", [{}, {"target_ratio": 3}, {"max_error": 0.05}, {"max_error": 0.05, "per_tensor": True}]
)
def test_types_survive_a_target_and_are_verified(tmp_path: Path, goal: dict[str, Any]) -> None:
    rng = np.random.default_rng(4)
    codes = (rng.standard_normal((64, 64)).astype(np.float32).view(np.uint32) >> 16 << 16).view(np.float32)
    phase = np.exp(1j * rng.standard_normal((4, 5))).astype(np.complex64)
    save_model(
        tmp_path / "model.safetensors",
        {"weight": codes, "phase": phase.reshape(-1).view(np.uint8)},
        descriptions={
            "weight": TensorDescription("BF16", codes.shape),
            "phase": TensorDescription("C64", phase.shape, phase.nbytes),
        },
    )
    report = nnr_codec.encode_file(tmp_path / "model.safetensors", verify=True, **goal)
    assert {error.name: error.is_exact for error in report.errors} == {"weight": False, "phase": True}
    if "target_ratio" in goal:
        assert report.target is not None
        assert report.target.met
        assert report.target.ratio == pytest.approx(
            (codes.size * 2 + phase.nbytes) / report.stream_bytes, rel=1e-9
        )
    decoded = nnr_codec.decode_file(tmp_path / "model.nnr", tmp_path / "back.safetensors")
    assert decoded.n_tensors == 2
    with open_model(tmp_path / "back.safetensors") as model:
        assert {name: (model.dtype_of(name), model.shape_of(name)) for name in model} == {
            "weight": ("BF16", (64, 64)),
            "phase": ("C64", (4, 5)),
        }
        assert model["phase"].tobytes() == phase.tobytes()
