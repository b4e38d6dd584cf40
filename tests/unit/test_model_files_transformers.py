# SPDX-License-Identifier: Apache-2.0
"""Hugging Face models from streams, on a tiny configuration and without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import nnr_codec.torch
import nnr_codec.transformers
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import stream_tensors

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers' own
INPUT = torch.arange(10)[None]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=100, tie_word_embeddings=True,
    )  # fmt: skip
    result = transformers.LlamaForCausalLM(config).eval()
    result.generation_config.max_length = 77
    return result


def write_folder(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    nnr_codec.torch.save_model(model, folder / "model.nnr", qp=-60, qp_1d=-60)
    return folder


@torch.no_grad()
def test_a_folder_or_a_file_beside_its_configuration(model: Any, tmp_path: Path) -> None:
    import transformers

    folder = write_folder(model, tmp_path)
    for path in (folder, folder / "model.nnr"):
        for model_class in (None, transformers.AutoModelForCausalLM, transformers.LlamaForCausalLM):
            loaded = nnr_codec.transformers.from_pretrained(path, model_class)
            assert type(loaded) is type(model)
            assert not loaded.training
            assert loaded.generation_config.max_length == 77
            assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
            torch.testing.assert_close(loaded(INPUT).logits, model(INPUT).logits, atol=1e-3, rtol=1e-3)
    half = nnr_codec.transformers.from_pretrained(folder, dtype=torch.bfloat16)
    assert half.lm_head.weight.dtype == torch.bfloat16


def test_the_configuration_in_the_stream(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(model, tmp_path / "folder")
    (tmp_path / "alone").mkdir()
    stream = tmp_path / "alone" / "model.nnr"
    (folder / "model.nnr").rename(stream)
    with pytest.raises(NotEncodable, match=r"no config\.json"):
        nnr_codec.transformers.from_pretrained(stream)
    contents = stream_tensors.stream_contents(stream)
    attachments = {name: (folder / name).read_bytes() for name in ("config.json", "generation_config.json")}
    with_files = type(contents)(contents.origin, contents.coded, contents.names, attachments)
    monkeypatch.setattr(stream_tensors, "stream_contents", lambda source: with_files)
    loaded = nnr_codec.transformers.from_pretrained(stream)
    assert loaded.generation_config.max_length == 77


def test_refusals_name_the_file(model: Any, tmp_path: Path) -> None:
    folder = write_folder(model, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["NoSuchModel"]}))
    with pytest.raises(NotEncodable, match="NoSuchModel") as caught:
        nnr_codec.transformers.from_pretrained(folder)
    assert caught.value.path == str(folder / "model.nnr")
    (folder / "second.nnr").write_bytes(b"")
    with pytest.raises(NotEncodable, match=r"model\.nnr, second\.nnr"):
        nnr_codec.transformers.from_pretrained(folder)
