# SPDX-License-Identifier: Apache-2.0
"""PyTorch state dicts, read with ``weights_only=True``: a file can carry tensors but no code.

torch is imported when a file is opened or written, not with this module.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np

from nnr_codec.codec.element_storage import STORAGE, Array, narrow, widen
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks.source import ModelSource, TensorDescription

#: Where training scripts put the state dict when they save more than that.
CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model")

_TAGS = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}


def _import_torch() -> Any:
    try:
        import torch
    except ImportError:
        raise NotEncodable("PyTorch files need torch: pip install 'nnr_codec[torch]'") from None
    return torch


class PytorchSource(ModelSource):
    """A state dict, or the state dict inside a training checkpoint.

    Of a checkpoint only the model is read; the other entries' names are in ``left_out``.
    """

    kind = "pytorch"

    def __init__(self, path: str) -> None:
        super().__init__(path, {})
        self._tensors: dict[str, Any] = {}
        same_elements: dict[tuple[Any, ...], str] = {}
        for name, tensor in self._find_state_dict(_load(path)).items():
            self._tensors[name] = tensor
            dtype = str(tensor.dtype).removeprefix("torch.")
            self._descriptions[name] = TensorDescription(_TAGS.get(dtype, dtype), tuple(tensor.shape))
            if tensor.numel() and not tensor.is_sparse and not tensor.is_quantized:
                elements = (tensor.data_ptr(), dtype, tuple(tensor.shape), tensor.stride())
                first = same_elements.setdefault(elements, name)
                if first != name:
                    self.tied[name] = first

    def _find_state_dict(self, loaded: Any) -> Mapping[str, Any]:
        torch = _import_torch()
        if isinstance(loaded, Mapping) and not any(isinstance(v, torch.Tensor) for v in loaded.values()):
            for key in CHECKPOINT_KEYS:
                if isinstance(loaded.get(key), Mapping):
                    self.left_out = tuple(str(other) for other in loaded if other != key)
                    loaded = loaded[key]
                    break
        if not isinstance(loaded, Mapping):
            raise NotEncodable("the file holds no state dict", path=self.path)
        for name, value in loaded.items():
            if not isinstance(name, str):
                raise NotEncodable(f"the state dict's key {name!r} is no name", path=self.path)
            if not isinstance(value, torch.Tensor):
                raise NotEncodable(
                    f"the state dict's entry is no tensor but {type(value).__name__}",
                    path=f"{self.path}: {name}",
                )
        return loaded

    def _read(self, name: str) -> Array:
        torch = _import_torch()
        tensor, tag = self._tensors[name], self.dtype_of(name)
        place = f"{self.path}: {name}"
        if tag not in STORAGE or tensor.layout != torch.strided or tensor.is_quantized:
            raise NotEncodable(f"{tag} tensors with layout {tensor.layout} are not supported", path=place)
        if tensor.is_meta:
            raise NotEncodable("a tensor on the meta device has no values", path=place)
        plain = tensor.detach().resolve_neg().contiguous()
        # Same bits under a type NumPy knows.
        bits = {"BF16": torch.int16, "F8_E4M3": torch.uint8, "F8_E5M2": torch.uint8}.get(tag)
        stored: Array = (plain.view(bits) if bits is not None else plain).numpy()
        return widen(stored.view(STORAGE[tag]), tag)


def _load(path: str) -> Any:
    torch = _import_torch()
    with open(path, "rb") as file:
        in_zip = file.read(4) == b"PK\x03\x04"
    try:
        with warnings.catch_warnings():
            # Old files make torch warn about its own storage classes.
            warnings.simplefilter("ignore")
            # Files from before the zip layout cannot be mapped.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=in_zip)
    except pickle.UnpicklingError:
        raise NotEncodable(
            "the file is damaged or holds Python objects besides tensors, which are never loaded; "
            "save model.state_dict() instead",
            path=path,
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise NotEncodable(f"not a PyTorch state dict: {reason}", path=path) from None


def write_pytorch(
    file: BinaryIO,
    tensors: Iterable[tuple[str, Array]],
    descriptions: Mapping[str, TensorDescription],
    tied: Mapping[str, str],
) -> None:
    """Write a state dict; names in ``tied`` share their elements with the tensor named.

    Parameters
    ----------
    file : binary file
    tensors : iterable of (name, ndarray)
        torch needs them all in memory at once.
    descriptions : mapping of name to TensorDescription
    tied : mapping of name to name
    """
    torch = _import_torch()
    torch_types = {tag: getattr(torch, name, None) for name, tag in _TAGS.items()}
    state: dict[str, Any] = {}
    for name, array in tensors:
        tag = descriptions[name].dtype
        stored = np.array(narrow(array, tag, name), order="C")
        if torch_types.get(tag) is None:
            raise NotEncodable(f"this version of torch has no {tag} tensors", path=name)
        if name in tied and tied[name] in state:
            state[name] = state[tied[name]]
            continue
        # Through a signed or plain view: torch takes few unsigned types from NumPy.
        if tag in ("BF16", "U16", "U32", "U64"):
            stored = stored.view(f"<i{stored.dtype.itemsize}")
        tensor = torch.from_numpy(stored)
        state[name] = tensor if tensor.dtype == torch_types[tag] else tensor.view(torch_types[tag])
    torch.save(state, file)
