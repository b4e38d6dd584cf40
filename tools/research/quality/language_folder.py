# SPDX-License-Identifier: Apache-2.0
"""Hugging Face folder with the weights of SmolLM2's GGUF file, under the names and in the layout of transformers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tools.research.quality.subject import Tensors

_HEAD = 64
_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_OUTER_NAMES = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
_CONFIGURATION = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "rope_theta": 100000.0,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def hugging_face_name(name: str) -> str:
    """Return the name of a tensor in transformers.

    >>> hugging_face_name("blk.3.attn_q.weight")
    'model.layers.3.self_attn.q_proj.weight'
    """
    match = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name)
    return f"model.layers.{match[1]}.{_NAMES[match[2]]}.weight" if match else _OUTER_NAMES[name]


def in_halves(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return queries and keys with the rows of each head in two halves, as transformers rotates them; others as they are."""
    if not _is_rotated(name):
        return array
    return np.asarray(array.reshape(-1, _HEAD // 2, 2, array.shape[1]).swapaxes(1, 2).reshape(array.shape))


def in_pairs(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return queries and keys with the rows of each head in pairs: the inverse of `in_halves`."""
    if not _is_rotated(name):
        return array
    return np.asarray(array.reshape(-1, 2, _HEAD // 2, array.shape[1]).swapaxes(1, 2).reshape(array.shape))


def write_folder(folder: Path, tensors: Tensors, tokenizer: Any) -> None:
    """Write weights, configuration and tokenizer.

    Parameters
    ----------
    folder : Path
    tensors : mapping of str to float32 array
        Under the names of GGUF.
    tokenizer : tokenizers.Tokenizer
    """
    from transformers import PreTrainedTokenizerFast

    partial = folder.with_suffix(".partial")
    partial.mkdir(parents=True)
    named = {
        hugging_face_name(name): np.ascontiguousarray(in_halves(name, array))
        for name, array in tensors.items()
    }
    save_file(named, partial / "model.safetensors")
    (partial / "config.json").write_text(json.dumps(_CONFIGURATION))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(partial)
    partial.rename(folder)


def _is_rotated(name: str) -> bool:
    return ".attn_q." in name or ".attn_k." in name
