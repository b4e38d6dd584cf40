# SPDX-License-Identifier: Apache-2.0
"""The functions of safetensors.torch and safetensors.numpy, on streams."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

import nnr_codec.numpy
import nnr_codec.torch
from nnr_codec.errors import NotEncodable

FINE = {"qp": -60, "qp_1d": -60}


def tensors() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(8, 4, generator=generator)
    return {
        "b": shared.to(torch.bfloat16),
        "tied": shared,
        "again": shared,
        "transposed": shared.t(),
        "half": shared.half(),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 4),
        "mask": torch.tensor([True, False]),
    }


@pytest.mark.parametrize("function", ["save", "save_file", "load", "load_file", "save_model", "load_model"])
def test_signatures_are_those_of_safetensors(function: str) -> None:
    pairs: list[tuple[Any, Any]] = [(safetensors.torch, nnr_codec.torch)]
    if not function.endswith("model"):
        pairs.append((safetensors.numpy, nnr_codec.numpy))
    for theirs, ours in pairs:
        expected = inspect.signature(getattr(theirs, function)).parameters
        actual = inspect.signature(getattr(ours, function)).parameters
        positional = [
            (p.name, p.default)
            for p in expected.values()
            if p.kind == inspect.Parameter.POSITIONAL_OR_KEYWORD
        ]
        assert [(p.name, p.default) for p in actual.values()][: len(positional)] == positional


def test_tensors_keep_names_order_types_shapes_and_ties(tmp_path: Path) -> None:
    original = tensors()
    nnr_codec.torch.save_file(original, tmp_path / "m.nnr", {"a": "b"}, **FINE)
    for loaded in (
        nnr_codec.torch.load_file(tmp_path / "m.nnr"),
        nnr_codec.torch.load((tmp_path / "m.nnr").read_bytes()),
        nnr_codec.torch.load(nnr_codec.torch.save(original, **FINE)),
    ):
        assert list(loaded) == list(original)
        for name, tensor in original.items():
            assert (loaded[name].dtype, loaded[name].shape) == (tensor.dtype, tensor.shape)
            torch.testing.assert_close(loaded[name], tensor, atol=1e-3, rtol=1e-2)
        assert loaded["again"] is loaded["tied"]
    assert nnr_codec.describe(tmp_path / "m.nnr").kind == "pytorch"
    nnr_codec.torch.save_file(
        {"w": torch.ones(2)}, tmp_path / "m.nnr"
    )  # as safetensors does, over what is there
    assert list(nnr_codec.torch.load_file(tmp_path / "m.nnr")) == ["w"]


def test_what_is_no_tensor_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="'w' is a list"):
        nnr_codec.torch.save({"w": [1.0]})  # type: ignore[dict-item] - the wrong type is the test
    with pytest.raises(NotEncodable) as caught:
        nnr_codec.torch.save({"w": torch.ones(2, device="meta")})
    assert caught.value.path == "w"


class Tied(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(20, 8)
        self.norm = torch.nn.BatchNorm1d(8)
        self.head = torch.nn.Linear(8, 20, bias=False)
        self.head.weight = self.embed.weight


def test_a_module_is_filled_in_place(tmp_path: Path) -> None:
    source, target = Tied(), Tied()
    nnr_codec.torch.save_model(source, tmp_path / "m.nnr", **FINE)
    parameters = dict(target.named_parameters())
    assert nnr_codec.torch.load_model(target, tmp_path / "m.nnr") == ([], [])
    assert dict(target.named_parameters()).keys() == parameters.keys()
    assert all(parameter is parameters[name] for name, parameter in target.named_parameters())
    for name, tensor in source.state_dict().items():
        torch.testing.assert_close(target.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)
    assert target.head.weight is target.embed.weight


def test_a_module_without_memory_gets_its_tensors(tmp_path: Path) -> None:
    source = Tied()
    nnr_codec.torch.save_model(source, tmp_path / "m.nnr", **FINE)
    with torch.device("meta"):
        target = Tied()
    assert nnr_codec.torch.load_model(target, tmp_path / "m.nnr") == ([], [])
    assert not any(tensor.is_meta for tensor in target.state_dict().values())
    assert target.head.weight is target.embed.weight
    assert isinstance(target.norm.weight, torch.nn.Parameter)
    torch.testing.assert_close(target.embed.weight, source.embed.weight, atol=1e-3, rtol=1e-3)


def test_differences_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    nnr_codec.torch.save_model(torch.nn.Linear(3, 4), tmp_path / "m.nnr")
    other = torch.nn.Linear(3, 5)
    before = other.weight.clone()
    with pytest.raises(RuntimeError, match=r"size mismatch for weight: \(5, 3\) in the model, \(4, 3\)"):
        nnr_codec.torch.load_model(other, tmp_path / "m.nnr")
    assert torch.equal(other.weight, before)
    less = torch.nn.Linear(3, 4, bias=False)
    with pytest.raises(RuntimeError, match="unexpected keys: bias"):
        nnr_codec.torch.load_model(less, tmp_path / "m.nnr")
    assert nnr_codec.torch.load_model(less, tmp_path / "m.nnr", strict=False) == ([], ["bias"])
    more = torch.nn.Sequential(torch.nn.Linear(3, 4))
    with pytest.raises(RuntimeError, match=r"missing keys: 0\.weight, 0\.bias"):
        nnr_codec.torch.load_model(more, tmp_path / "m.nnr")


def test_filling_holds_one_tensor_beside_the_module(tmp_path: Path) -> None:
    code = f"""
import resource, torch, nnr_codec.torch
def model(): return torch.nn.Sequential(*(torch.nn.Linear(1024, 2048, bias=False) for _ in range(16)))
target = model()
nnr_codec.torch.load_model(torch.nn.Linear(2, 2), {str(tmp_path / "small.nnr")!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
nnr_codec.torch.load_model(target, {str(tmp_path / "m.nnr")!r})
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)
"""
    layers = [torch.nn.Linear(1024, 2048, bias=False) for _ in range(16)]
    nnr_codec.torch.save_model(torch.nn.Sequential(*layers), tmp_path / "m.nnr", effort="fast", qp=-10)
    nnr_codec.torch.save_model(torch.nn.Linear(2, 2), tmp_path / "small.nnr")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    largest = 4 * 1024 * 2048
    # Levels, values, and the unit's bytes: a fraction of the 16 tensors.
    assert int(result.stdout) < 5 * largest


def test_arrays_come_back(tmp_path: Path) -> None:
    arrays = {
        "w": np.random.default_rng(0).standard_normal((4, 5)).astype(np.float16),
        "scalar": np.array(3, np.int32),
        "empty": np.zeros((0, 3), np.float32),
    }
    nnr_codec.numpy.save_file(arrays, tmp_path / "m.nnr", {"a": "b"}, **FINE)
    for loaded in (
        nnr_codec.numpy.load_file(tmp_path / "m.nnr"),
        nnr_codec.numpy.load(nnr_codec.numpy.save(arrays, **FINE)),
    ):
        assert list(loaded) == list(arrays)
        for name, array in arrays.items():
            assert (loaded[name].dtype, loaded[name].shape) == (array.dtype, array.shape)
            np.testing.assert_allclose(loaded[name], array, atol=1e-3, rtol=1e-2)
    assert nnr_codec.describe(tmp_path / "m.nnr").metadata == {"a": "b"}


@pytest.mark.parametrize("module", ["torch", "numpy", "transformers"])
def test_importing_loads_no_framework(module: str) -> None:
    code = (
        f"import sys, nnr_codec.{module}; assert not {{'torch', 'transformers'}} & set(sys.modules);"
        "import numpy; assert 'site-packages' in numpy.__file__"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
