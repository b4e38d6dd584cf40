# SPDX-License-Identifier: Apache-2.0
"""Commands with the real codec: sharded files, indexes and interruption."""

import json
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnr_codec.cli import main
from nnr_codec.codec.decode.decoder import Decoder
from nnr_codec.errors import MalformedBitstream, NotEncodable
from nnr_codec.files.decoding import _arranged
from nnr_codec.frameworks import TensorDescription, open_model, save_model, save_shards, shards_by_size

RNG = np.random.default_rng(3)
MODEL: dict[str, Any] = {f"t{i}": RNG.laplace(0, 1, (i + 1, 50)).astype(np.float32) for i in range(8)} | {
    "none": np.zeros((0, 2), np.float32),
    "half": RNG.laplace(0, 1, 30).astype(np.float16),
    "ids": np.arange(6, dtype=np.int64),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_model("m.safetensors", MODEL, metadata={"by": "us"})
    assert main(["encode", "m.safetensors", "-q"]) == 0
    return tmp_path


def content(path: str) -> dict[str, tuple[str, tuple[int, ...], list[Any]]]:
    with open_model(path) as model:
        return {name: (model.dtype_of(name), array.shape, array.tolist()) for name, array in model.items()}


def files(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_what_is_written_as_it_is_decoded_is_what_decoding_gives(kind: str) -> None:
    import nnr_codec

    assert main(["decode", "m.nnr", f"back.{kind}", "-q"]) == 0
    whole = nnr_codec.decode("m.nnr")
    save_model(f"whole.{kind}", whole, metadata={"by": "us"} if kind == "safetensors" else None)
    assert Path(f"back.{kind}").read_bytes() == Path(f"whole.{kind}").read_bytes()


def test_a_set_of_files_is_written_on_request(folder: Path) -> None:
    assert main(["decode", "m.nnr", "set.safetensors", "--shard-size", "2kB", "-q"]) == 0
    assert main(["decode", "m.nnr", "one.safetensors", "-q"]) == 0
    assert content("set.safetensors.index.json") == content("one.safetensors")
    index = json.loads((folder / "set.safetensors.index.json").read_text())
    shards = sorted(set(index["weight_map"].values()))
    assert shards == [f"set-{i:05}-of-{len(shards):05}.safetensors" for i in range(1, len(shards) + 1)]
    assert index["metadata"] == {"by": "us", "total_size": sum(array.nbytes for array in MODEL.values())}
    for shard in shards:
        with open_model(shard) as part:
            assert part.size_bytes <= 2000
            assert part.metadata == {"by": "us"}
    assert [name for name in files(folder) if name.endswith(".part")] == []
    # Readable by the format's own library.
    from safetensors.numpy import load_file

    assert np.array_equal(
        load_file(shards[0])["t0"], np.array(content("one.safetensors")["t0"][2], np.float32)
    )


def test_a_set_of_files_comes_back_as_it_was(folder: Path) -> None:
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    described = {
        n: TensorDescription({"f4": "F32", "f2": "F16", "i8": "I64"}[a.dtype.str[1:]], a.shape)
        for n, a in MODEL.items()
    }
    numbers = [0, 2, 1, 1, 0, 2, 2, 0, 1, 1, 2]
    save_shards("in/model.safetensors.index.json", MODEL.items(), described, numbers)
    assert main(["encode", "in/model.safetensors.index.json", "out/model.nnr", "-q"]) == 0
    assert main(["decode", "out/model.nnr", "-q"]) == 0
    assert files(folder / "out") == sorted([*files(folder / "in"), "model.nnr"])
    maps = [json.loads((folder / f / "model.safetensors.index.json").read_text()) for f in ("in", "out")]
    assert maps[0] == maps[1]
    # One file on request, and another division.
    assert main(["decode", "out/model.nnr", "single.safetensors", "-q"]) == 0
    assert content("single.safetensors") == content("out/model.safetensors.index.json")
    assert main(["decode", "out/model.nnr", "again.safetensors.index.json", "--shard-size", "1GB", "-q"]) == 0
    assert (folder / "again-00001-of-00001.safetensors").exists()


def test_shards_are_only_made_of_safetensors(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "m.nnr", "x.npz", "--shard-size", "1GB"]) == 1
    assert "only safetensors" in capsys.readouterr().err
    for wrong in ("0", "five", "-1GB", "nan", "inf"):
        assert main(["decode", "m.nnr", "x.safetensors", "--shard-size", wrong]) == 2
    assert files(folder) == ["m.nnr", "m.safetensors"]


@pytest.mark.parametrize(
    "arguments", [["x.safetensors"], ["x.npz"], ["x.safetensors", "--shard-size", "1kB"]]
)
@pytest.mark.parametrize("failure", [KeyboardInterrupt(), MalformedBitstream("broken"), SystemExit(143)])
def test_an_interrupted_decode_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], failure: BaseException
) -> None:
    real = Decoder.iterate

    def failing(*arguments: Any, **options: Any) -> Iterator[Any]:
        for count, named in enumerate(real(*arguments, **options)):
            if count == 5:
                raise failure
            yield named

    monkeypatch.setattr(Decoder, "iterate", failing)
    try:
        code = main(["decode", "m.nnr", *arguments])
    except (KeyboardInterrupt, SystemExit):
        code = 130
    assert code != 0
    assert files(folder) == ["m.nnr", "m.safetensors"]


def test_a_damaged_tensor_at_the_end_leaves_nothing(folder: Path) -> None:
    stream = bytearray((folder / "m.nnr").read_bytes())
    stream[-1] ^= 0xFF
    (folder / "m.nnr").write_bytes(stream)
    assert main(["decode", "m.nnr", "x.safetensors", "--shard-size", "1kB"]) == 1
    assert files(folder) == ["m.nnr", "m.safetensors"]


def test_a_set_is_not_half_overwritten(folder: Path) -> None:
    assert main(["decode", "m.nnr", "set.safetensors", "--shard-size", "2kB", "-q"]) == 0
    before = {name: (folder / name).read_bytes() for name in files(folder)}
    (folder / "set.safetensors.index.json").unlink()
    # A shard is there already: nothing is written at all.
    assert main(["decode", "m.nnr", "set.safetensors", "--shard-size", "2kB", "-q"]) == 1
    assert not (folder / "set.safetensors.index.json").exists()
    assert main(["decode", "m.nnr", "set.safetensors", "--shard-size", "2kB", "-q", "-f"]) == 0
    assert {name: (folder / name).read_bytes() for name in files(folder)} == before


def test_tensors_that_do_not_arrive_as_announced() -> None:
    one = np.ones(3, np.float32)
    described = {"a": TensorDescription("F32", (3,)), "b": TensorDescription("F32", (3,))}
    for arguments in ([("a", one)], [("a", one), ("c", one)], [("a", one), ("a", one)]):
        with pytest.raises(NotEncodable):
            save_shards("x.safetensors.index.json", arguments, described, [0, 0])
    assert shards_by_size({}, 5) == []


def test_an_index_is_written_and_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "m.nnr"]) == 0
    assert capsys.readouterr().err == "m.nnr.idx: 11 tensors\n"
    assert main(["decode", "m.nnr", "some.safetensors", "--only", "half", "--only", "t3", "-q"]) == 0
    assert main(["decode", "m.nnr", "all.safetensors", "-q"]) == 0
    every = content("all.safetensors")
    assert content("some.safetensors") == {name: every[name] for name in ("half", "t3")}
    assert main(["index", "missing.nnr"]) == 1
    assert "missing.nnr.idx" not in files(folder)


def test_a_tied_tensor_waits_only_while_it_must() -> None:
    alive: list[str] = []

    def decoded() -> Iterator[tuple[str, Any]]:
        for name in "abc":
            array = np.full(4, ord(name))
            alive.append(name)
            weakref.finalize(array, alive.remove, name)
            yield name, array
            del array

    seen = []
    for name, array in _arranged(decoded(), ["a", "b", "tied", "c"], {"tied": "a"}):
        seen.append((name, chr(array[0]), "".join(alive)))
        del array
    # The decoder's own hold on "b" ends when it is asked for the next.
    assert seen == [("a", "a", "a"), ("b", "b", "ab"), ("tied", "a", "ab"), ("c", "c", "c")]
    assert alive == []
