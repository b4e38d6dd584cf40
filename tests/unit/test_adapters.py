# SPDX-License-Identifier: Apache-2.0
"""LoRA adapters: the error of the products, the files of an adapter's folder, and PEFT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

import nnr_codec
from nnr_codec import EncoderConfig
from nnr_codec.cli import main
from nnr_codec.rate import config_for_adapter
from nnr_codec.rate_control.adapters import FactorPair, Product, factor_pairs

Arrays = dict[str, NDArray[Any]]
_RANK, _WIDTH = 8, 512
_CONFIG = {"peft_type": "LORA", "r": _RANK, "lora_alpha": 32, "target_modules": ["query", "value"]}


def factors(seed: int = 0) -> Arrays:
    """Return the factors of four layers: uniform A and normal B, with columns of different size."""
    random = np.random.default_rng(seed)
    arrays: Arrays = {}
    for index in range(4):
        prefix = f"base_model.model.layer.{index}.query"
        columns = 0.01 * random.uniform(0.2, 2, _RANK)
        arrays[f"{prefix}.lora_A.weight"] = random.uniform(-0.07, 0.07, (_RANK, _WIDTH)).astype(np.float32)
        arrays[f"{prefix}.lora_B.weight"] = (random.standard_normal((_WIDTH, _RANK)) * columns).astype(
            np.float32
        )
    return arrays


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files that PEFT writes."""
    path = tmp_path / "adapter"
    path.mkdir()
    save_file(factors(), path / "adapter_model.safetensors")
    (path / "adapter_config.json").write_text(json.dumps(_CONFIG))
    (path / "README.md").write_text("# Adapter\n")
    return path


def product_errors(decoded: Arrays, wanted: Arrays) -> list[float]:
    """Return the relative error of each product, computed from the products themselves."""
    errors = []
    for pair in factor_pairs(wanted):
        product, reference = decoded[pair.b] @ decoded[pair.a], wanted[pair.b] @ wanted[pair.a]
        errors.append(float(np.linalg.norm(product - reference) / np.linalg.norm(reference)))
    return errors


@pytest.mark.parametrize(("relative_error", "product_error"), [(0.02, 0.1), (0.005, 0.025)])
def test_the_error_of_products_meets_the_target(
    folder: Path, tmp_path: Path, relative_error: float, product_error: float
) -> None:
    nnr_codec.encode_file(folder, tmp_path / "a.nnr", relative_error=relative_error)
    nnr_codec.decode_file(tmp_path / "a.nnr", tmp_path / "out")

    errors = product_errors(load_file(tmp_path / "out" / "adapter_model.safetensors"), factors())

    assert len(errors) == 4
    assert all(0.95 * product_error < error < 1.02 * product_error for error in errors)


def test_a_quarter_of_float16(folder: Path, tmp_path: Path) -> None:
    report = nnr_codec.encode_file(folder, tmp_path / "a.nnr")

    assert report.stream_bytes <= 0.25 * 2 * report.n_weights


def test_fewer_bytes_than_equal_errors_of_the_factors() -> None:
    wanted = factors()
    config = config_for_adapter(wanted, EncoderConfig(effort="slow"))
    stream = nnr_codec.encode(wanted, config)
    error = np.mean(product_errors(nnr_codec.Decoder().decode(stream), wanted))
    usual = nnr_codec.encode(wanted, relative_error=float(error) / np.sqrt(2), effort="slow")
    usual_error = np.mean(product_errors(nnr_codec.Decoder().decode(usual), wanted))

    assert error <= usual_error
    assert len(stream) < len(usual)


def test_an_adapter_returns_with_its_names_and_configuration(folder: Path, tmp_path: Path) -> None:
    assert main(["encode", str(folder), str(tmp_path / "a.nnr")]) == 0
    assert main(["decode", str(tmp_path / "a.nnr"), str(tmp_path / "out")]) == 0

    files = {path.name for path in (tmp_path / "out").iterdir()}

    assert files == {"adapter_model.safetensors", "adapter_config.json", "README.md"}
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text()) == _CONFIG
    decoded = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert {n: (a.dtype, a.shape) for n, a in decoded.items()} == {
        n: (a.dtype, a.shape) for n, a in factors().items()
    }


def test_a_single_file(folder: Path, tmp_path: Path) -> None:
    nnr_codec.encode_file(folder / "adapter_model.safetensors", tmp_path / "a.nnr")
    nnr_codec.decode_file(tmp_path / "a.nnr", tmp_path / "out.safetensors")

    assert max(product_errors(load_file(tmp_path / "out.safetensors"), factors())) < 0.102


def test_pairs_by_name() -> None:
    names = [
        "x.lora_A.weight", "x.lora_B.weight", "e.lora_embedding_A", "e.lora_embedding_B", "u.lora.down.weight",
        "u.lora.up.weight", "k.lora_down.weight", "k.lora_up.weight", "alone.lora_A.weight", "head.weight",
    ]  # fmt: skip

    assert factor_pairs(names) == [FactorPair(names[index], names[index + 1]) for index in range(0, 8, 2)]


def test_factors_of_convolutions_and_embeddings() -> None:
    random = np.random.default_rng(3)
    shapes = {
        "c.lora_A.weight": (4, 16, 3, 3), "c.lora_B.weight": (32, 4, 1, 1),
        "e.lora_embedding_A": (4, 500), "e.lora_embedding_B": (64, 4),
    }  # fmt: skip
    wanted = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    decoded = nnr_codec.Decoder().decode(
        nnr_codec.encode(wanted, config_for_adapter(wanted, EncoderConfig()))
    )

    for pair in factor_pairs(wanted):
        product = Product.of(wanted[pair.a], wanted[pair.b])
        assert product is not None
        assert product.error_of(decoded[pair.a], decoded[pair.b]) == pytest.approx(0.1, rel=0.05)


class TestOtherTensors:
    """Tensors that are no factors, and options that name factors."""

    def test_a_model_without_factors(self) -> None:
        config = EncoderConfig()

        assert config_for_adapter({"w": np.ones((4, 4), np.float32)}, config) is config

    @pytest.mark.parametrize(
        "a",
        [
            np.zeros((8, 192), np.float32),
            np.full((8, 192), np.inf, np.float32),
            np.ones((5, 192), np.float32),
        ],
        ids=["zero", "infinite", "other rank"],
    )
    def test_no_product(self, a: NDArray[np.float32]) -> None:
        config = EncoderConfig()

        assert (
            config_for_adapter({"q.lora_A.w": a, "q.lora_B.w": np.ones((9, 8), np.float32)}, config) is config
        )

    @pytest.mark.parametrize("options", [{"qp": -20}, {"keep": ("*lora_A*",)}, {"qp_by_name": (("*", -30),)}])
    def test_options_prevail(self, options: dict[str, Any]) -> None:
        config = EncoderConfig(**options)

        assert config_for_adapter(factors(), config) is config


def test_an_adapter_of_peft(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    peft = pytest.importorskip("peft", reason="needs peft")
    torch.manual_seed(0)

    def base() -> Any:
        torch.manual_seed(1)
        layers = [torch.nn.Linear(96, 128), torch.nn.Tanh(), torch.nn.Linear(128, 64)]
        return torch.nn.Sequential(*layers)

    model = peft.get_peft_model(base(), peft.LoraConfig(r=8, lora_alpha=24, target_modules=["0", "2"]))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.003)
    model.save_pretrained(tmp_path / "adapter")
    nnr_codec.encode_file(tmp_path / "adapter", tmp_path / "a.nnr")
    nnr_codec.decode_file(tmp_path / "a.nnr", tmp_path / "out")

    decoded = peft.PeftModel.from_pretrained(base(), tmp_path / "out")

    inputs = torch.randn(100, 96)
    with torch.no_grad():
        plain, wanted, outputs = base()(inputs), model(inputs), decoded(inputs)
    assert decoded.peft_config["default"].lora_alpha == 24
    assert (wanted - plain).norm() > 0.01 * wanted.norm()
    assert (outputs - wanted).norm() < 0.01 * wanted.norm()
    assert (outputs - wanted).norm() < 0.15 * (wanted - plain).norm()
