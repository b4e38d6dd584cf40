# SPDX-License-Identifier: Apache-2.0
"""PyTorch files as trainers leave them, written by torch itself."""

from __future__ import annotations

import argparse
import collections
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import open_model, save_model

pytestmark = pytest.mark.filterwarnings(
    "ignore"
)  # torch warns about its own beta layouts and storage classes
LAYOUTS = pytest.mark.parametrize("in_zip", [True, False], ids=["zip", "legacy"])

STATE = {"conv.weight": torch.arange(216.0).reshape(8, 3, 3, 3), "conv.bias": torch.arange(8.0)}
OPTIMIZER = {"state": {0: {"exp_avg": torch.ones(8), "step": torch.tensor(1)}}, "param_groups": [{"lr": 0.1}]}


def raw(name: str) -> Any:
    """A tensor of shape [2, 3] with random bits of any type."""
    dtype = getattr(torch, name)
    octets = torch.randint(0, 255, (6 * dtype.itemsize,), dtype=torch.uint8)
    storage = torch.storage.TypedStorage(wrap_storage=octets.untyped_storage(), dtype=dtype, _internal=True)
    return torch._utils._rebuild_tensor(storage, 0, (2, 3), (3, 1))


RAW_TYPES = [
    "complex64", "complex128", "complex32", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
    "float4_e2m1fn_x2", "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2",
]  # fmt: skip


@LAYOUTS
@pytest.mark.parametrize("name", RAW_TYPES)
def test_types_without_arithmetic_come_back_bit_for_bit(tmp_path: Path, name: str, in_zip: bool) -> None:
    tensor = raw(name)
    file = {"w": tensor, "b": torch.ones(2)}
    try:
        torch.save(file, tmp_path / "a.pt", _use_new_zipfile_serialization=in_zip)
    except (KeyError, RuntimeError):
        pytest.skip("this layout of torch's cannot hold the type")
    with open_model(tmp_path / "a.pt") as model:
        description = model.describe("w")
        assert description.is_opaque
        assert model["w"].dtype == np.uint8
        assert model["w"].tobytes() == bytes(tensor.untyped_storage())
        assert model["w"].size == description.size_bytes
        save_model(tmp_path / "b.pt", model)
    again = torch.load(tmp_path / "b.pt", weights_only=True)["w"]
    assert (again.dtype, again.shape) == (tensor.dtype, tensor.shape)
    assert bytes(again.untyped_storage()) == bytes(tensor.untyped_storage())


def quantized() -> dict[str, Any]:
    values = torch.linspace(-1, 1, 20).reshape(4, 5)
    scales, zeros = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([1, 2, 3, 4])
    return {
        "qint8": torch.quantize_per_tensor(values, 0.1, 3, torch.qint8),
        "quint8": torch.quantize_per_channel(values, scales, zeros, 0, torch.quint8),
        "transposed": torch.quantize_per_tensor(values, 0.1, 3, torch.qint8).t(),
        "qint32": torch.quantize_per_tensor(values, 1e-7, 0, torch.qint32),
        "quint4x2": torch.quantize_per_channel(values, scales, zeros.float(), 0, torch.quint4x2),
    }


@LAYOUTS
@pytest.mark.parametrize("name", ["qint8", "quint8", "transposed", "qint32", "quint4x2"])
def test_quantised_tensors_keep_levels_and_parameters(tmp_path: Path, name: str, in_zip: bool) -> None:
    tensor = quantized()[name]
    torch.save({"w": tensor}, tmp_path / "a.pt", _use_new_zipfile_serialization=in_zip)
    with open_model(tmp_path / "a.pt") as model:
        assert model.dtype_of("w") == f"TORCH:{str(tensor.dtype).removeprefix('torch.')}"
        assert model["w"].size == model.describe("w").size_bytes
        save_model(tmp_path / "b.pt", model)
    again = torch.load(tmp_path / "b.pt", weights_only=True)["w"]
    assert again.qscheme() == tensor.qscheme()
    assert again.dtype == tensor.dtype
    assert torch.equal(again.dequantize(), tensor.dequantize())


def other_layouts() -> dict[str, Any]:
    dense = torch.tensor([[0.0, 1, 0, 2], [3, 0, 0, 0]])
    return {
        "coo": dense.to_sparse(),
        "uncoalesced": torch.sparse_coo_tensor([[0, 0], [1, 1]], [1.0, 2.0], (2, 4)),
        "csr": dense.to_sparse_csr(),
        "csc": dense.to_sparse_csc(),
        "bsr": dense.to_sparse_bsr((2, 2)),
        "bsc": dense.to_sparse_bsc((2, 2)),
    }


@LAYOUTS
@pytest.mark.parametrize("name", ["coo", "uncoalesced", "csr", "csc", "bsr", "bsc"])
def test_sparse_tensors_keep_their_layout(tmp_path: Path, name: str, in_zip: bool) -> None:
    tensor = other_layouts()[name]
    torch.save({"w": tensor}, tmp_path / "a.pt", _use_new_zipfile_serialization=in_zip)
    with open_model(tmp_path / "a.pt") as model:
        assert model.shape_of("w") == (2, 4)
        save_model(tmp_path / "b.pt", model)
    again = torch.load(tmp_path / "b.pt", weights_only=True)["w"]
    assert again.layout == tensor.layout
    assert torch.equal(again.to_dense(), tensor.to_dense())
    if name in ("coo", "uncoalesced"):
        assert again.is_coalesced() == tensor.is_coalesced()
        assert torch.equal(again._values(), tensor._values())


def test_nested_tensors(tmp_path: Path) -> None:
    tensor = torch.nested.nested_tensor([torch.ones(2, 3), torch.zeros(1, 3)])
    torch.save({"w": tensor}, tmp_path / "a.pt")
    with open_model(tmp_path / "a.pt") as model:
        save_model(tmp_path / "b.pt", model)
    again = torch.load(tmp_path / "b.pt", weights_only=True)["w"]
    assert all(torch.equal(a, b) for a, b in zip(again.unbind(), tensor.unbind(), strict=True))


def test_lazy_conjugation_and_negation_are_carried_out(tmp_path: Path) -> None:
    values = torch.tensor([1 + 2j, -3 + 0j])
    torch.save({"w": values.conj()}, tmp_path / "a.pt")
    with open_model(tmp_path / "a.pt") as model:
        assert model["w"].view(np.complex64).tolist() == [1 - 2j, -3 - 0j]
    torch.save({"w": values.conj().imag}, tmp_path / "b.pt")
    with open_model(tmp_path / "b.pt") as model:
        assert model["w"].tolist() == [-2, 0]


CHECKPOINTS: dict[str, tuple[Any, set[str]]] = {
    "resemblyzer": (
        {"step": 7, "model_state": STATE, "optimizer_state": OPTIMIZER},
        {"step", "optimizer_state"},
    ),
    "pytorch-cifar": ({"net": STATE, "acc": 91.2, "epoch": 3}, {"acc", "epoch"}),
    "basicsr": ({"params_ema": STATE}, set()),
    "deepspeed": ({"module": STATE, "global_steps": 1}, {"global_steps"}),
    "timm": (
        {"state_dict": STATE, "state_dict_ema": STATE, "epoch": 1},
        {"state_dict_ema", "epoch"},
    ),
    "nested": ({"a": {"b": {"weights": STATE}, "x": 3}, "args": None}, {"args", "a.x"}),
    "counter beside": ({"epoch": torch.tensor(3), "net": STATE, "opt": OPTIMIZER}, {"epoch", "opt"}),
    "random state beside": ({"net": STATE, "rng": torch.get_rng_state()}, {"rng"}),
    "extra state": ({**STATE, "conv._extra_state": None}, {"conv._extra_state"}),
    "version": ({**STATE, "version": 1}, {"version"}),
    "type": ({**STATE, "fc._packed_params.dtype": torch.qint8}, {"fc._packed_params.dtype"}),
    "lightning": (
        {
            "state_dict": STATE,
            "optimizer_states": [OPTIMIZER],
            "callbacks": {"best": torch.tensor(1.0)},
            "hyper_parameters": argparse.Namespace(path=Path("x")),
            "numbers": np.float64(1.5),
        },
        {"optimizer_states", "callbacks", "hyper_parameters", "numbers"},
    ),
    "defaultdict": (collections.defaultdict(list, STATE), set()),
    "optimizer alone beside": ({"weights": STATE, "optimizer": OPTIMIZER}, {"optimizer"}),
    "parameters": ({name: torch.nn.Parameter(t) for name, t in STATE.items()}, set()),
}


@LAYOUTS
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_model_in_a_checkpoint(tmp_path: Path, name: str, in_zip: bool) -> None:
    checkpoint, left_out = CHECKPOINTS[name]
    torch.save(checkpoint, tmp_path / "c.pt", _use_new_zipfile_serialization=in_zip)
    with open_model(tmp_path / "c.pt") as model:
        assert model.names() == tuple(STATE)
        assert set(model.left_out) == left_out
        assert model["conv.weight"].tolist() == STATE["conv.weight"].tolist()


def test_candidates_are_named_and_chosen_by_key(tmp_path: Path) -> None:
    path = tmp_path / "gan.pt"
    torch.save({"nets": {"generator": STATE, "dis.c": STATE}, "epoch": 3}, path)
    with pytest.raises(NotEncodable, match=r"nets\.generator, nets\.dis\.c.*--key") as caught:
        open_model(path)
    assert caught.value.path == str(path)
    for key in ("nets.generator", "nets.dis.c"):
        with open_model(path, key=key) as model:
            assert model.names() == tuple(STATE)
            assert "epoch" in model.left_out
    with open_model(path, key="nets") as model:
        assert "dis.c.conv.bias" in model
        assert model.tied["dis.c.conv.bias"] == "generator.conv.bias"
    with open_model(path, key=".") as model:
        assert "nets.dis.c.conv.bias" in model
    with pytest.raises(NotEncodable, match=r"no entry 'nets\.x'"):
        open_model(path, key="nets.x")


def test_optimizer_state_by_choice(tmp_path: Path) -> None:
    torch.save({"model": STATE, "optimizer": OPTIMIZER, "epoch": 1}, tmp_path / "c.pt")
    with open_model(tmp_path / "c.pt", optimizer=True) as model:
        extra = ("optimizer.state.0.exp_avg", "optimizer.state.0.step")
        assert model.names() == (*STATE, *extra)
        assert model.left_out == ("epoch",)
        assert model[extra[0]].tolist() == [1] * 8


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
        self.register_buffer("grid", torch.arange(5.0))
        self.options = argparse.Namespace(depth=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + torch.tensor([1.0, 2.0, 3.0, 4.0])


@LAYOUTS
def test_pickled_modules_give_their_state_dict(tmp_path: Path, in_zip: bool) -> None:
    network = Network()
    torch.save({"model": network, "epoch": 3}, tmp_path / "m.pt", _use_new_zipfile_serialization=in_zip)
    with open_model(tmp_path / "m.pt") as model:
        assert {n: model[n].tolist() for n in model} == {
            n: t.tolist() for n, t in network.state_dict().items()
        }


def test_torchscript_weights_are_read_without_code(tmp_path: Path) -> None:
    network = Network().eval()
    torch.jit.save(torch.jit.trace(network, torch.ones(2, 3)), str(tmp_path / "s.pt"))
    with open_model(tmp_path / "s.pt") as model:
        state = network.state_dict()
        assert {n: model[n].tolist() for n in state if n in model} == {
            n: t.tolist() for n, t in state.items() if n in model
        }
        assert {"layer.0.weight", "layer.1.running_var", "grid"} <= set(model)
        assert model["constants.0"].tolist() == [1, 2, 3, 4]
        assert "TorchScript" in model.notes[0]
    quantised = torch.ao.quantization.quantize_dynamic(
        torch.nn.Sequential(torch.nn.Linear(8, 4)), {torch.nn.Linear}, dtype=torch.qint8
    )
    torch.jit.save(torch.jit.script(quantised), str(tmp_path / "q.pt"))
    with open_model(tmp_path / "q.pt") as model:
        assert "TORCH:qint8" in model.dtypes.values()


def test_views_have_equal_values_and_repeated_elements_stay_small(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    views = {
        "row": base[1],
        "column": base[:, 1],
        "whole": base,
        "again": base,
        "wide": base[:1].expand(3, 4),
    }
    torch.save(views, tmp_path / "v.pt")
    with open_model(tmp_path / "v.pt") as model:
        assert model.tied == {"again": "whole"}
        for name, tensor in views.items():
            assert model[name].tolist() == tensor.tolist()
    torch.save({"w": torch.ones(1).expand(1 << 30)}, tmp_path / "bomb.pt")
    with pytest.raises(NotEncodable, match="repeats"):
        open_model(tmp_path / "bomb.pt")


def test_tensors_without_elements_are_left_out(tmp_path: Path) -> None:
    torch.save({**STATE, "m": torch.ones(3, device="meta")}, tmp_path / "m.pt")
    with open_model(tmp_path / "m.pt") as model:
        assert model.left_out == ("m",)


def test_numpy_arrays_count_as_tensors(tmp_path: Path) -> None:
    torch.save({"model": {"w": np.arange(6, dtype=">f4").reshape(2, 3)}}, tmp_path / "n.pt")
    with open_model(tmp_path / "n.pt") as model:
        assert model["w"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_other_files_read_equal_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    torch.save({"w": torch.ones(3, dtype=torch.bfloat16)}, tmp_path / "m.pt")
    monkeypatch.setitem(sys.modules, "torch", None)
    with open_model(tmp_path / "m.pt") as model:
        assert model["w"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(list(range(5))),
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
        b"\x80\x05\x96" + b"\xff" * 7 + b"\x00.",  # an array of 2**56 bytes
        b"\x80\x02Kr" + b"r\xff\xff\xff\xff.",  # a memo index of 2**32
        b"\x80\x02X\xff\xff\x00\x00"
        + b"a" * 65535
        + b"q\x000c_codecs\nencode\nq\x01"
        + b"h\x00\x85R0h\x01" * 99_999,
        b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    ],
)
def test_hostile_pickles_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.pt").write_bytes(content)
    with pytest.raises(NotEncodable) as caught:
        open_model(tmp_path / "m.pt")
    assert caught.value.path == str(tmp_path / "m.pt")
