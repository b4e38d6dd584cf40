# SPDX-License-Identifier: Apache-2.0
"""Model files and arrays of public bug reports, encoded and decoded at the defaults as their owners would.

Each test names the reports. The kinds behind them have tests of their own beside the code that they concern.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnr_codec
from nnr_codec.cli import main
from tests.reported import rng, there_and_back

torch = pytest.importorskip("torch", reason="the reports are about PyTorch files")

from safetensors.numpy import save_file


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def torch_there_and_back(state_dict: Any, name: str) -> Any:
    torch.save(state_dict, f"{name}.pt")
    there_and_back(f"{name}.pt", f"{name}_back.pt")
    return torch.load(f"{name}_back.pt", weights_only=True)


def test_06_vectors_of_wide_range() -> None:
    """tabnet#356: batch norm over raw features; schedules of latent diffusion; gpt-neox#1003: rotary frequencies."""
    torch.manual_seed(0)

    def features(n: int) -> Any:
        columns = [
            torch.randint(18, 80, (n,)).float(),
            torch.randn(n).exp() * 4e4,
            torch.rand(n),
            torch.randn(n) * 0.02 + 0.05,
        ]
        return torch.stack(columns, 1)

    layers = [torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3)]
    network = torch.nn.Sequential(*layers).train()
    for _ in range(60):
        network(features(4096))
    network.eval()
    x = features(2000)
    before = network(x).detach()
    back = torch_there_and_back(network.state_dict(), "tabnet")
    torch.testing.assert_close(back["0.running_var"], network[0].running_var, rtol=2e-3, atol=0)
    network.load_state_dict(back)
    after = network(x).detach()
    assert float((after - before).norm() / before.norm()) < 0.05
    assert float((after.argmax(1) == before.argmax(1)).float().mean()) > 0.97

    betas = torch.linspace(0.0015**0.5, 0.0195**0.5, 1000, dtype=torch.float64) ** 2
    schedule = torch.cumprod(1 - betas, 0).float()
    decoded = torch_there_and_back(
        {"state_dict": {"alphas_cumprod": schedule, "w": torch.randn(64, 64)}}, "ldm"
    )
    torch.testing.assert_close(decoded["alphas_cumprod"], schedule, rtol=2e-3, atol=0)

    frequencies = 1 / 5e5 ** (torch.arange(0, 128, 2).float() / 128)
    decoded = torch_there_and_back({"rotary_emb.inv_freq": frequencies, "w": torch.randn(64, 64)}, "rope")
    torch.testing.assert_close(decoded["rotary_emb.inv_freq"], frequencies, rtol=2e-3, atol=0)
    assert float(8192 * (frequencies - decoded["rotary_emb.inv_freq"]).abs().max()) < 0.2


def row_errors(before: Any, after: Any) -> Any:
    return np.linalg.norm(before - after, axis=1) / np.linalg.norm(before, axis=1)


@pytest.mark.parametrize("kind", ["one weight", "one row", "all rows"])
def test_07_matrices_with_outliers(kind: str) -> None:
    """ZeroQ#6, DFQ#14: channel ranges after folding batch norm; torchvision#648."""
    generator = rng()
    weights = (generator.standard_normal((512, 512)) * 0.02).astype(np.float32)
    if kind == "one weight":
        weights[3, 5] = 1e4
    elif kind == "one row":
        weights[0] *= 1000
    else:
        weights *= np.exp(2 * generator.standard_normal((512, 1))).astype(np.float32)
    stream = nnr_codec.encode({"w": weights})
    errors = row_errors(weights, nnr_codec.decode(stream, recompose=True)["w"])
    assert errors.max() < 0.15
    assert np.median(errors) < 0.05
    assert 8 * len(stream) / weights.size < 12


GRIDS = {
    "causal mask": np.tril(np.ones((1, 1, 512, 512), np.float32)),
    "ones": np.ones((512, 512), np.float32),
    "tenths": np.full((512, 512), 0.1, np.float32),
    "vector of one value": np.full(4096, 0.02, np.float32),
    "binary": (np.sign(rng().standard_normal((512, 512))) * 0.02).astype(np.float32),
    "ternary": (rng().integers(-1, 2, (512, 512)) * 0.043).astype(np.float32),
    "int4": (rng().integers(-8, 8, (512, 512)) * 0.0137).astype(np.float32),
    "int8": (np.clip(np.round(rng().standard_normal((512, 512)) * 25), -127, 127) * 0.002).astype(np.float32),
}


@pytest.mark.parametrize("name", GRIDS)
def test_08_masks_constants_and_grids(name: str) -> None:
    """transformers#1419: masks; BitNet#534: ternary weights; fake-quantised checkpoints."""
    values = GRIDS[name]
    stream = nnr_codec.encode({"w": values})
    decoded = nnr_codec.decode(stream)["w"]
    counts = np.unique(values, return_counts=True)[1] / values.size
    entropy = float(-(counts * np.log2(counts)).sum())
    bits = 8 * len(stream) / values.size
    if name == "int8":
        # Exact costs more than the default here, so the promise of the default holds instead.
        assert bits < entropy + 0.15
        assert np.linalg.norm(decoded - values) <= 0.021 * np.linalg.norm(values)
    else:
        np.testing.assert_array_equal(decoded, values)
        assert bits < entropy * 1.02 + 0.4 * (values.ndim == 1) + 0.02


def test_10_non_finite_values_do_not_grow_a_tensor() -> None:
    """compressed-tensors#832: NaN in scales; causal masks of minus infinity."""
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="bfloat16 and float8 as NumPy types")
    weights = (rng().standard_normal((512, 512)) * 0.02).astype(np.float32)
    weights[1, 2] = np.nan
    mask = np.triu(np.full((1, 1, 512, 512), -np.inf, np.float32), 1)
    arrays = {
        "bfloat16": weights.astype(ml_dtypes.bfloat16), "float16": weights.astype(np.float16),
        "float8": weights.astype(ml_dtypes.float8_e4m3fn), "float16 mask": mask.astype(np.float16), "float32 mask": mask,
    }  # fmt: skip
    for name, array in arrays.items():
        stream = nnr_codec.encode({"w": array})
        assert len(stream) <= 1.01 * array.nbytes + 1024, name
        decoded = nnr_codec.decode(stream)["w"]
        wide = array.astype(np.float32)
        np.testing.assert_array_equal(np.isnan(decoded), np.isnan(wide), err_msg=name)
        np.testing.assert_array_equal(np.isinf(decoded), np.isinf(wide), err_msg=name)


def test_11_an_index_that_leaves_a_tensor_of_its_shard_out() -> None:
    """mlx-vlm#1827, CoSER#3."""
    generator = rng()
    arrays = {
        name: (generator.standard_normal((40, 32)) * 0.05).astype(np.float32)
        for name in ("embed.weight", "l0.weight")
    }
    save_file(arrays, "model-00001-of-00001.safetensors")
    index = {"metadata": {}, "weight_map": {"l0.weight": "model-00001-of-00001.safetensors"}}
    Path("model.safetensors.index.json").write_text(json.dumps(index))
    assert main(["encode", "model.safetensors.index.json", "stream.nnr"]) == 0
    assert sorted(tensor.name for tensor in nnr_codec.describe("stream.nnr").tensors) == sorted(arrays)


def test_12_updates_whose_shapes_change_or_that_fail() -> None:
    """ultralytics#9554, FCIL#1, pytorch_tabular#423."""
    generator = rng()
    config = nnr_codec.EncoderConfig(incremental=True)

    def update(*shape: int) -> Any:
        return (generator.standard_normal(shape) * 0.01).astype(np.float32)

    for before, after in (((64, 10), (64, 12)), ((64, 64), (32, 128))):
        encoder, decoder = nnr_codec.Encoder(config), nnr_codec.Decoder()
        decoder.decode(encoder.encode({"w": update(*before)}))
        decoded = decoder.decode(encoder.encode({"w": update(*after)}))
        assert decoded["w"].shape == after
        assert decoder.decode(encoder.encode({"w": update(*after)}))["w"].shape == after

    encoder, decoder = nnr_codec.Encoder(config), nnr_codec.Decoder()
    decoder.decode(encoder.encode({"a": update(8, 8), "b": update(8, 8)}))
    with pytest.raises((nnr_codec.NotEncodable, TypeError)):
        encoder.encode({"a": update(8, 8), "b": np.array([object()])})
    assert set(decoder.decode(encoder.encode({"a": update(8, 8), "b": update(8, 8)}))) == {"a", "b"}

    encoder = nnr_codec.Encoder(config)
    streams = [encoder.encode({"w": update(64, 64)}) for _ in range(3)]
    with pytest.raises(nnr_codec.MalformedBitstream) as caught:
        nnr_codec.Decoder().decode(streams[2])
    assert caught.value.element == "put_node_depth"


STATE = {"conv.weight": np.zeros((8, 3, 3, 3)), "conv.bias": np.zeros(8)}


@pytest.mark.parametrize(
    "layout",
    [
        "model_state", "net", "params_ema", "module", "state_dict_ema", "tensor_beside", "extra_state_none", "version_int",
        "torch_quant", "ok_state_dict",
    ],
)  # fmt: skip
def test_14_checkpoints_as_trainers_leave_them(layout: str) -> None:
    """BasicSR#253, pytorch-cifar, resemblyzer, LIQE#15, TransformerEngine#1335, sentence-transformers#2923."""
    torch.manual_seed(0)
    weights = {"conv.weight": torch.randn(8, 3, 3, 3), "conv.bias": torch.randn(8)}
    optimizer = {"state": {0: {"exp_avg": torch.randn(8)}}, "param_groups": [{"lr": 0.1}]}
    checkpoints: dict[str, Any] = {
        "model_state": {"step": 7, "model_state": weights, "optimizer_state": optimizer},
        "net": {"net": weights, "acc": 91.2, "epoch": 3},
        "params_ema": {"params_ema": weights},
        "module": {"module": weights, "global_steps": 1},
        "state_dict_ema": {"state_dict_ema": weights},
        "tensor_beside": {"epoch": torch.tensor(3), "state_dict": weights, "optimizer": optimizer},
        "extra_state_none": {**weights, "conv._extra_state": None},
        "version_int": {**weights, "version": 1},
        "torch_quant": {**weights, "fc._packed_params.dtype": torch.qint8},
        "ok_state_dict": {"state_dict": weights, "optimizer": optimizer},
    }
    back = torch_there_and_back(checkpoints[layout], layout)
    assert list(back) == list(weights)
    for name, tensor in weights.items():
        torch.testing.assert_close(back[name], tensor, rtol=0, atol=0.1)


def test_16_arguments_of_wrong_types() -> None:
    """Whatever a training script has at hand works, or is a TypeError with a sentence."""
    module = torch.nn.Linear(4, 4)
    stream = nnr_codec.encode(dict(module.named_parameters()))
    assert nnr_codec.decode(stream)["weight"].shape == (4, 4)
    stream = nnr_codec.encode({"w": torch.randn(8, 8).bfloat16()})
    assert nnr_codec.describe(stream).tensors[0].dtype == "BF16"
    wrong: list[Callable[[], object]] = [
        lambda: nnr_codec.encode([np.ones((2, 2))]),  # type: ignore[arg-type] - the wrong type is the test
        lambda: nnr_codec.encode(np.ones((2, 2))),  # type: ignore[arg-type] - the wrong type is the test
        lambda: nnr_codec.decode(nnr_codec.encode({"l0": np.ones((2, 2))}), names="l0"),
        lambda: nnr_codec.encode({"w": torch.eye(4).to_sparse()}),
    ]
    for call in wrong:
        with pytest.raises((TypeError, nnr_codec.NotEncodable)) as caught:
            call()
        assert len(str(caught.value).split()) > 4


def test_17_numbers_are_those_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    """Sizes before and after are what the file manager shows, and a target that is undershot is met."""
    np.savez("const.npz", w=np.ones((64, 64), np.float32))
    for target in (["--max-error", "0.01"], ["--target-ratio", "10"]):
        assert main(["encode", "const.npz", "c.nnr", "-f", *target]) == 0
    np.savez("ints.npz", w=np.arange(10))
    assert main(["encode", "ints.npz", "i.nnr", "--max-error", "0.01"]) == 0
    assert "out of reach" not in capsys.readouterr().err
    names = [f"model.output_blocks.{i}.transformer_blocks.0.attn1.to_q.lora_up.weight" for i in range(500)]
    save_file({name: np.ones((2, 2), np.float32) * i for i, name in enumerate(names)}, "many.safetensors")
    report = nnr_codec.encode_file("many.safetensors")
    assert (report.model_bytes, report.stream_bytes) == (
        os.path.getsize("many.safetensors"),
        os.path.getsize("many.nnr"),
    )
    assert report.stream_bytes < report.model_bytes


@pytest.mark.parametrize("name", ["cut.pt", "blob_pt", "cut.npz", "blob_npz"])
def test_20_truncated_downloads(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """stable-diffusion-webui#13784, Fooocus#498."""
    if name.endswith("pt"):
        torch.save({"w": torch.randn(100, 100)}, "whole")
    else:
        np.savez("whole.npz", w=np.ones((100, 100)))
        os.rename("whole.npz", "whole")
    Path(name).write_bytes(Path("whole").read_bytes()[:30_000])
    assert main(["encode", name, "x.nnr"]) == 1
    message = capsys.readouterr().err
    assert name in message
    assert message.count("\n") == 1
    assert "a bug" not in message
    assert "cut short" in message
