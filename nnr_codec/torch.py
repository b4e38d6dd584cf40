# SPDX-License-Identifier: Apache-2.0
"""torch tensors and modules to NNR streams and back, with the functions and signatures of ``safetensors.torch``.

>>> import nnr_codec.torch                                                # doctest: +SKIP
>>> nnr_codec.torch.save_model(model, "model.nnr")                        # doctest: +SKIP
>>> missing, unexpected = nnr_codec.torch.load_model(model, "model.nnr")  # doctest: +SKIP

torch is imported when a function is called.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nnr_codec.frameworks import stream_tensors

if TYPE_CHECKING:
    from typing import BinaryIO

    import torch

_MAX_NAMES = 10


def save(
    tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None, **options: Any
) -> bytes:
    """Encode tensors.

    Parameters
    ----------
    tensors : mapping of str to torch.Tensor
        Of any type and layout; tensors that share all their elements are coded once.
    metadata : mapping of str to str, optional
    **options
        Of `nnr_codec.encode`: ``qp``, ``effort``, ``threads``.

    Raises
    ------
    NotEncodable
        A tensor that cannot be encoded; ``path`` names it.
    """
    return stream_tensors.as_bytes(lambda file: _encode(tensors, file, metadata, options))


def save_file(
    tensors: Mapping[str, torch.Tensor],
    filename: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
    **options: Any,
) -> None:
    """Encode tensors into a file, which is written whole or not at all.

    Parameters
    ----------
    tensors, metadata, **options
        As `save`.
    filename : path-like
        An existing file is replaced, as `safetensors.torch.save_file` does.

    Raises
    ------
    NotEncodable
        As `save`.
    OSError
        The file cannot be written.
    """
    stream_tensors.write_stream(filename, lambda file: _encode(tensors, file, metadata, options))


def save_model(
    model: torch.nn.Module,
    filename: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
    force_contiguous: bool = True,
    **options: Any,
) -> None:
    """Encode a module's state dict into a file.

    Parameters
    ----------
    model : torch.nn.Module
    filename : path-like
    metadata, options
        As `save`.
    force_contiguous : bool
        Accepted for compatibility; tensors of any strides are encoded.

    Raises
    ------
    NotEncodable, OSError
        As `save_file`.
    """
    del force_contiguous
    save_file(model.state_dict(), filename, metadata, **options)


def load(data: bytes) -> dict[str, torch.Tensor]:
    """Decode a stream in memory.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    dict of str to torch.Tensor
        As `load_file`, on the CPU.

    Raises
    ------
    BitstreamError
        Anything wrong with the stream.
    """
    return _loaded(data, "cpu", None)


def load_file(
    filename: str | os.PathLike[str], device: str | int = "cpu", *, threads: int | None = None
) -> dict[str, torch.Tensor]:
    """Decode a stream in a file.

    Parameters
    ----------
    filename : path-like
    device : str or int
    threads : int, optional
        Tensors decoded side by side.

    Returns
    -------
    dict of str to torch.Tensor
        In the source's order, with the source's types; tied names share one tensor.

    Raises
    ------
    BitstreamError
        Anything wrong with the stream.
    """
    return _loaded(filename, device, threads)


def load_model(
    model: torch.nn.Module,
    filename: str | os.PathLike[str],
    strict: bool = True,
    device: str | int = "cpu",
    *,
    threads: int = 1,
) -> tuple[list[str], list[str]]:
    """Decode a stream into a module's parameters and buffers, tensor by tensor.

    Beside the module, memory holds as many decoded tensors as there are threads. Names and shapes are checked before
    anything is written.

    Parameters
    ----------
    model : torch.nn.Module
        Parameters on the meta device are replaced by tensors on `device`; the others keep their type and device.
    filename : path-like
    strict : bool
        Raise an error for missing or unexpected names.
    device : str or int
        For parameters on the meta device.
    threads : int

    Returns
    -------
    missing, unexpected : list of str
        Names of the module that the stream lacks, and the reverse.

    Raises
    ------
    RuntimeError
        Shapes differ, or names do and `strict` is true, as ``Module.load_state_dict`` raises.
    BitstreamError
        Anything wrong with the stream; the module is then filled in part.
    """
    import torch

    contents = stream_tensors.stream_contents(filename)
    targets = model.state_dict(keep_vars=True)
    missing, unexpected = _differences(targets, contents)
    wrong = [
        f"size mismatch for {name}: {tuple(targets[name].shape)} in the model, "
        f"{_torch_shape(contents, name)} in the stream"
        for name in contents.names
        if name in targets and tuple(targets[name].shape) != _torch_shape(contents, name)
    ]
    if strict and missing:
        wrong.append(f"missing keys: {_listed(missing)}")
    if strict and unexpected:
        wrong.append(f"unexpected keys: {_listed(unexpected)}")
    if wrong:
        raise RuntimeError(f"Error(s) in loading state_dict for {type(model).__name__}: {'; '.join(wrong)}")
    names_of: dict[str, list[str]] = {}
    aliases = contents.aliases
    for name in contents.names:
        names_of.setdefault(aliases.get(name, name), []).append(name)
    replaced: dict[int, torch.nn.Parameter | torch.Tensor] = {}
    for coded, tensor in _tensors(filename, contents, threads):
        for name in names_of.get(coded, [coded]):
            target = targets.get(name)
            if target is None:
                continue
            if target.is_meta:
                _replace(model, name, target, tensor.to(device), replaced)
            else:
                with torch.no_grad():
                    target.copy_(tensor)
        del tensor
    return missing, unexpected


def _encode(
    tensors: Mapping[str, torch.Tensor],
    file: BinaryIO,
    metadata: Mapping[str, str] | None,
    options: Mapping[str, Any],
) -> None:
    from nnr_codec.frameworks.pytorch.conversion import TensorDict

    arrays = TensorDict(tensors)
    stream_tensors.encode_stream(
        arrays, file, kind="pytorch", metadata=metadata, tied=arrays.tied, order=arrays.order,
        dtypes=arrays.dtypes, options=options,
    )  # fmt: skip


def _loaded(source: stream_tensors.Stream, device: str | int, threads: int | None) -> dict[str, torch.Tensor]:
    contents = stream_tensors.stream_contents(source)
    tensors = {name: tensor.to(device) for name, tensor in _tensors(source, contents, threads)}
    aliases = contents.aliases
    return {name: tensors[aliases.get(name, name)] for name in contents.names}


def _tensors(
    source: stream_tensors.Stream, contents: stream_tensors.StreamContents, threads: int | None
) -> Iterator[tuple[str, torch.Tensor]]:
    from nnr_codec.frameworks.pytorch.writer import tensor_of

    for name, array in stream_tensors.decoded_tensors(source, threads):
        yield name, tensor_of(array, contents.coded[name], name)
        del array


def _torch_shape(contents: stream_tensors.StreamContents, name: str) -> tuple[int, ...]:
    description = contents.describe(name)
    # torch counts pairs of 4-bit floats.
    if description.dtype == "F4":
        return (*description.shape[:-1], description.shape[-1] // 2)
    return description.shape


def _differences(
    targets: Mapping[str, torch.Tensor], contents: stream_tensors.StreamContents
) -> tuple[list[str], list[str]]:
    """Return the names that the stream lacks and those that the module lacks; a tied name counts for all."""
    present = {id(targets[name]) for name in contents.names if name in targets}
    missing = [name for name, target in targets.items() if id(target) not in present]
    loaded = {contents.aliases.get(name, name) for name in contents.names if name in targets}
    unexpected = [
        name
        for name in contents.names
        if name not in targets and contents.aliases.get(name, name) not in loaded
    ]
    return missing, unexpected


def _replace(
    model: torch.nn.Module,
    name: str,
    target: torch.Tensor,
    tensor: torch.Tensor,
    replaced: dict[int, torch.nn.Parameter | torch.Tensor],
) -> None:
    """Put a tensor in the place of one without elements; a tied parameter stays one parameter."""
    import torch

    value = replaced.get(id(target))
    if value is None:
        typed = tensor if tensor.dtype == target.dtype else tensor.to(target.dtype)
        is_parameter = isinstance(target, torch.nn.Parameter)
        value = torch.nn.Parameter(typed, requires_grad=target.requires_grad) if is_parameter else typed
        replaced[id(target)] = value
    owners = [
        (module, key)
        for module in model.modules()
        for entries in (module._parameters, module._buffers)
        for key, entry in entries.items()
        if entry is target
    ]
    for module, key in owners:
        setattr(module, key, value)
    if not owners and name.rpartition(".")[2]:
        module = model.get_submodule(name.rpartition(".")[0])
        setattr(module, name.rpartition(".")[2], value)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MAX_NAMES]) + (", …" if len(names) > _MAX_NAMES else "")
