# SPDX-License-Identifier: Apache-2.0
"""Model files through ``nnr encode``: parts of checkpoints, and what the command reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import nnr_codec
from nnr_codec.cli import main

STATE = {"w": torch.arange(24.0).reshape(8, 3)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    optimizer = {"state": {0: {"exp_avg": torch.ones(8, 3)}}, "param_groups": [{}]}
    torch.save({"params": STATE, "params_ema": STATE, "opt": optimizer}, "m.pt")
    return tmp_path


def names(path: str) -> list[str]:
    return [tensor.name for tensor in nnr_codec.describe(path).tensors]


def test_an_entry_is_chosen_by_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "m.pt"]) == 1
    assert "params, params_ema; choose one with --key" in capsys.readouterr().err
    assert main(["encode", "m.pt", "--key", "params_ema"]) == 0
    assert "not encoded: params, opt\n" in capsys.readouterr().err
    assert names("m.nnr") == ["w"]
    assert main(["encode", "m.pt", "o.nnr", "--key", "params", "--optimizer"]) == 0
    assert names("o.nnr") == ["w", "opt.state.0.exp_avg"]


def test_notes_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"a": np.ones((4, 4), np.float32), "b": np.ones(4, np.float32)}, "s-00001-of-00001.safetensors")
    index = {"weight_map": {"a": "s-00001-of-00001.safetensors"}}
    Path("s.safetensors.index.json").write_text(json.dumps(index))
    assert main(["encode", "s.safetensors.index.json", "s.nnr"]) == 0
    assert "the index omits 1 of the shards' tensors, which are kept: b" in capsys.readouterr().err
    assert set(names("s.nnr")) == {"a", "b"}
