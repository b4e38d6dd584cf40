# SPDX-License-Identifier: Apache-2.0
"""Hugging Face model that runs in transformers with replaced tensors.

transformers and torch are imported when a model is made, not with this module.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.model_file import ModelFile
from nnr_codec.frameworks.torch_importance import layer_curvatures
from nnr_codec.rate_control.calibrated import (
    GIVEN_DAMPING,
    GIVEN_ROW_DAMPING,
    MADE_DAMPING,
    MADE_ROW_DAMPING,
    Moments,
)
from nnr_codec.rate_control.divergence import Divergence
from nnr_codec.transform import ScaleMove, transformer_moves

_SEED = 15938
# Tokens of one window, and windows for the moments and for the divergence.
_WINDOW = 128
_MOMENT_WINDOWS, _DIVERGENCE_WINDOWS = 24, 6
# The model continues each of these prefixes of random tokens.
_PREFIX = 4


class RunnableTransformer:
    """Model of transformers on fixed windows of tokens.

    Parameters
    ----------
    model : ModelFile
        Open weights.
    folder : str
        Folder with ``config.json`` and, for texts, a tokenizer.
    inputs : path-like, optional
        Text file. By default a causal language model writes its own text, after random tokens, and other models read random
        tokens.
    seed : int
        Seed of random tokens.

    Raises
    ------
    NotEncodable
        transformers or torch is missing, or the folder has no tokenizer for the text.
    """

    def __init__(self, model: ModelFile, folder: str, inputs: Any = None, *, seed: int = _SEED) -> None:
        try:
            import torch
            import transformers
        except ImportError:
            raise NotEncodable(
                "Hugging Face models run in transformers: pip install 'nnr_codec[transformers]'", path=folder
            ) from None
        self._weights = model
        config = transformers.AutoConfig.from_pretrained(folder)
        architectures = getattr(config, "architectures", None) or []
        model_class = (
            getattr(transformers, architectures[0], None) if architectures else transformers.AutoModel
        )
        if model_class is None:
            raise NotEncodable(f"transformers has no class {architectures[0]}", path=folder)
        self._model = model_class.from_pretrained(folder, config=config, dtype=torch.float32).eval()
        self._parameters = dict(self._model.named_parameters(remove_duplicate=False))
        self._names = {name: self._parameter_name(name) for name in model.names()}
        self._damping = MADE_DAMPING if inputs is None else GIVEN_DAMPING
        self._row_damping = MADE_ROW_DAMPING if inputs is None else GIVEN_ROW_DAMPING
        self._is_causal = any("CausalLM" in name or "LMHead" in name for name in architectures)
        windows = self._windows(folder, inputs, seed)
        # Windows for the divergence come last, so that the text of both differs.
        self._for_moments, self._for_divergence = windows[:_MOMENT_WINDOWS], windows[-_DIVERGENCE_WINDOWS:]
        self._reference: Divergence | None = None

    def divergence(self, tensors: Mapping[str, NDArray[Any]]) -> float:
        """Return the divergence of the outputs with these tensors from those of the model as it is."""
        import torch

        if self._reference is None:
            self._reference = Divergence(self._outputs(), logits=self._is_causal)
        replaced: dict[Any, Any] = {}
        try:
            for name, array in tensors.items():
                parameter = self._parameters.get(self._names.get(name) or "")
                if parameter is not None and parameter not in replaced:
                    replaced[parameter] = parameter.data
                    parameter.data = torch.from_numpy(np.array(array, np.float32)).reshape(parameter.shape)
            return self._reference.of(self._outputs())
        finally:
            for parameter, values in replaced.items():
                parameter.data = values

    def moments(self) -> Iterator[tuple[str, Moments]]:
        """Measure curvatures of the outputs by the inputs and gradients of the layers."""
        coded = {id(self._parameters[name]) for name in self._names.values() if name is not None}
        curvatures = layer_curvatures(
            self._model,
            self._for_moments,
            lambda _, batch: self._amplitudes(batch),
            damping=self._damping,
            row_damping=self._row_damping,
            names=[name for name, parameter in self._parameters.items() if id(parameter) in coded],
        )
        by_parameter = {self._parameters[name]: value for name, value in curvatures.items()}
        for name in self._weights.names():
            parameter = self._parameters.get(self._names[name] or "")
            if parameter is not None and parameter in by_parameter:
                yield name, by_parameter[parameter]

    def moves(self) -> list[ScaleMove]:
        """Return the scales that can move between tensors of the Llama family and of BERT."""
        config = self._model.config.get_text_config()
        heads = getattr(config, "num_attention_heads", 1)
        head_size = getattr(config, "head_dim", None) or getattr(config, "hidden_size", 0) // heads
        groups = heads // (getattr(config, "num_key_value_heads", None) or heads)
        return list(transformer_moves(self._weights.names(), head_size, groups))

    def replace(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Replace tensors of the model by ones with which it computes the same function."""
        import torch

        for name, array in tensors.items():
            parameter = self._parameters[self._names[name] or name]
            parameter.data = torch.from_numpy(np.array(array, np.float32)).reshape(parameter.shape)

    def _parameter_name(self, name: str) -> str | None:
        """Return the parameter that a tensor fills; transformers accepts names with or without the base model's prefix."""
        prefix = f"{self._model.base_model_prefix}."
        for candidate in (name, prefix + name, name.removeprefix(prefix)):
            if candidate in self._parameters:
                return candidate
        return None

    def _run(self, batch: Any) -> Any:
        outputs = self._model(input_ids=batch)
        return outputs.logits if "logits" in outputs else outputs.last_hidden_state

    def _amplitudes(self, batch: Any) -> Any:
        """Return outputs whose squared changes are the divergence: twice the roots of probabilities for logits."""
        import torch

        outputs = self._run(batch)
        if not self._is_causal:
            return outputs
        # KL(p, q) is half of the squared distance of 2 sqrt(p) and 2 sqrt(q), up to third order.
        return 2 * torch.softmax(outputs, -1).clamp_min(1e-12).sqrt()

    def _outputs(self) -> list[list[NDArray[Any]]]:
        import torch

        with torch.no_grad():
            return [[self._run(window).numpy()] for window in self._for_divergence]

    def _windows(self, folder: str, inputs: Any, seed: int) -> list[Any]:
        import torch

        n_windows = _MOMENT_WINDOWS + _DIVERGENCE_WINDOWS
        if inputs is not None:
            tokens = _tokens_of(folder, os.fspath(inputs))
            length = min(_WINDOW, len(tokens) // 2)
            n_windows = min(n_windows, len(tokens) // length)
            return list(torch.tensor(tokens[: n_windows * length]).reshape(n_windows, 1, length))
        generator = torch.Generator().manual_seed(seed)
        vocabulary = int(self._model.config.get_text_config().vocab_size)
        if not self._is_causal:
            return list(torch.randint(0, vocabulary, (n_windows, 1, _WINDOW), generator=generator))
        torch.manual_seed(seed)
        prefixes = torch.randint(0, vocabulary, (n_windows, _PREFIX), generator=generator)
        written = self._model.generate(
            prefixes, attention_mask=torch.ones_like(prefixes), do_sample=True, top_k=0, temperature=1.0,
            max_new_tokens=_WINDOW - _PREFIX, min_new_tokens=_WINDOW - _PREFIX, pad_token_id=0,
        )  # fmt: skip
        return list(written[:, None])


def _tokens_of(folder: str, path: str) -> list[int]:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError):
        raise NotEncodable("the folder has no tokenizer for the text", path=folder) from None
    with open(path, encoding="utf-8", errors="replace") as file:
        tokens = tokenizer(file.read(), add_special_tokens=False, verbose=False)["input_ids"]
    if len(tokens) < 2:
        raise NotEncodable("the text is too short", path=path)
    return list(tokens)
