# SPDX-License-Identifier: Apache-2.0
"""``nnr decode``."""

from __future__ import annotations

import difflib
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
import numpy.typing as npt

from nnr_codec.cli import port
from nnr_codec.cli.limits import limit_option
from nnr_codec.cli.terminal import ignore, note, printable, progress, size
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import (
    Origin,
    TensorDescription,
    kind_of_path,
    save_model,
    save_shards,
    shards_by_size,
    tag_of,
)
from nnr_codec.model import Limits

Named = tuple[str, npt.NDArray[Any]]

_SUFFIX_OF_KIND = {"safetensors": ".safetensors", "npz": ".npz", "pytorch": ".pt", "onnx": ".onnx"}
_INDEX_SUFFIX = ".index.json"
#: What the hub's tools cut models into.
_CUSTOMARY_SHARD_BYTES = 5_000_000_000


def _bytes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Read a size.

    >>> _bytes(None, None, "1.5GB")
    1500000000
    """
    del ctx, param
    if value is None:
        return None
    number, unit = value.strip().upper().removesuffix("B"), 1
    if number and number[-1] in "KMGT":
        number, unit = number[:-1], 1000 ** ("KMGT".index(number[-1]) + 1)
    try:
        n_bytes = int(float(number) * unit)
    except (ValueError, OverflowError):
        n_bytes = 0
    if n_bytes <= 0:
        raise click.BadParameter(f"{value!r} is not a size such as 5GB or 500MB")
    return n_bytes


@click.command(
    "decode",
    epilog="\b\nExamples:\n  nnr decode model.nnr                    # writes the kind it was made from\n"
    "  nnr decode model.nnr model.npz\n  nnr decode model.nnr head.npz --only head.weight --only head.bias\n"
    "  nnr decode model.nnr new.onnx --template model.onnx\n"
    "  nnr decode model.nnr parts/model.safetensors.index.json --shard-size 2GB",
)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@click.option("--only", multiple=True, metavar="NAME", help="Decode this tensor alone; repeatable.")
@click.option("--template", metavar="FILE", help="For ONNX: the model whose weights are replaced.")
@click.option(
    "--shard-size", "shard_bytes", metavar="SIZE", callback=_bytes,
    help="Write safetensors files of at most this size (5GB, 500MB), and an index beside them.",
)  # fmt: skip
@click.option("--threads", type=click.IntRange(1), help="Threads to decode with; by default all cores.")
@limit_option
@click.option("--require-checksum", is_flag=True, help="Refuse a stream that does not end with a checksum.")
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it fails.")
def command(
    source: str,
    target: str | None,
    only: tuple[str, ...],
    template: str | None,
    shard_bytes: int | None,
    threads: int | None,
    limits: Limits,
    require_checksum: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Decompress an NNR stream to a model file.

    OUT's name says its kind: .safetensors, .npz, .pt or .onnx; .safetensors.index.json is a set of files.
    Without it, what the stream was made from comes back, with its types and metadata.

    safetensors and NPZ are written tensor by tensor and need memory for a few of the largest tensors; .pt and
    .onnx for the whole model.
    """
    started = time.perf_counter()
    described = port.describe_source(source, limits)
    origin = Origin.from_metadata(described.kind, described.metadata)
    kind, target, in_shards = _where_to(source, target, origin, shard_bytes)
    # Said before the work, and checked again when the file takes its name.
    if os.path.isfile(target) and not force:
        raise FileExistsError(17, "File exists", target)
    if os.path.exists(target) and os.path.samefile(source, target):
        raise NotEncodable("input and output are the same file", path=target)
    if os.path.splitext(target)[1] and kind_of_path(target) is None:
        raise click.UsageError(
            f"OUT's name says its kind, and {target} says none: .safetensors, .npz, .pt or .onnx"
        )
    reading: dict[str, Any] = {
        "threads": threads or os.cpu_count() or 1,
        "limits": limits,
        "require_checksum": require_checksum,
    }
    if only:
        found = _some(source, origin, only, reading)
        tags = {name: described.dtypes.get(origin.tied.get(name, name)) for name in found}
        descriptions = {
            name: TensorDescription(tags[name] or tag_of(array.dtype) or "F32", array.shape)
            for name, array in found.items()
        }
        sizes: dict[str, int] = {}
    else:
        summary = port.describe(source, limits)
        coded = {
            tensor.name: TensorDescription(tensor.dtype, tensor.shape or ()) for tensor in summary.tensors
        }
        descriptions = _in_files_order(coded, origin)
        sizes = {name: description.size_bytes for name, description in coded.items()}
        found = None
    aliases = {name: origin.tied[name] for name in descriptions if origin.tied.get(name) in descriptions}
    with progress("decoding", sizes, quiet=quiet) as on_tensor:
        tensors: Iterator[Named]
        if found is not None:
            tensors = iter(found.items())
        elif len(summary.tensors) > len(coded):
            # A name came twice, and the later tensor stands: it is only known at the end.
            whole = dict(port.decode(source, None, on_tensor=on_tensor, **reading))
            tensors = iter([(name, whole[aliases.get(name, name)]) for name in descriptions])
        else:
            decoded = port.decode(source, None, on_tensor=on_tensor, **reading)
            tensors = _arranged(decoded, list(descriptions), aliases)
        if in_shards:
            numbers = None
            if shard_bytes is None and found is None:
                numbers = origin.shard_numbers(len(descriptions))
            if numbers is None:
                numbers = shards_by_size(descriptions, shard_bytes or _CUSTOMARY_SHARD_BYTES)
            save_shards(target, tensors, descriptions, numbers, metadata=origin.metadata, overwrite=force)
        else:
            save_model(
                target,
                tensors,
                kind=kind,
                metadata=origin.metadata,
                shapes={name: description.shape for name, description in descriptions.items()},
                dtypes={name: description.dtype for name, description in descriptions.items()},
                tied=aliases,
                template=template if template is not None else origin.topology,
                overwrite=force,
            )
    seconds = time.perf_counter() - started
    if os.path.isfile(target):
        n_bytes = sum(d.size_bytes for d in descriptions.values()) if in_shards else os.path.getsize(target)
        count = f"{len(descriptions)} tensor{'' if len(descriptions) == 1 else 's'}"
        note(f"{target}: {count}, {size(n_bytes)}, {seconds:.1f} s", quiet=quiet)


def _where_to(
    source: str, target: str | None, origin: Origin, shard_bytes: int | None
) -> tuple[str, str, bool]:
    """Return the kind of file, its name (the index's, for a set), and whether it is a set."""
    kind = (kind_of_path(target) if target else None) or origin.kind or "safetensors"
    in_shards = kind == "safetensors" and (
        shard_bytes is not None or (target.endswith(_INDEX_SUFFIX) if target else bool(origin.shards))
    )
    if shard_bytes is not None and not in_shards:
        raise NotEncodable("only safetensors files are written in shards", path=target)
    target = target or os.path.splitext(source)[0] + _SUFFIX_OF_KIND.get(kind, ".safetensors")
    if in_shards and not target.endswith(_INDEX_SUFFIX):
        target += _INDEX_SUFFIX
    return kind, target, in_shards


def _in_files_order(coded: Mapping[str, TensorDescription], origin: Origin) -> dict[str, TensorDescription]:
    """Describe all tensors as the original file had them, those that share another's elements included."""
    tied = {name: coded[first] for name, first in origin.tied.items() if first in coded}
    present = {**coded, **tied}
    first = [name for name in origin.order if name in present]
    placed = set(first)
    return {name: present[name] for name in [*first, *(name for name in coded if name not in placed)]}


def _arranged(decoded: Iterator[Named], order: Sequence[str], aliases: Mapping[str, str]) -> Iterator[Named]:
    """Yield tensors in order, and under all their names; one waits in memory only while it has to."""
    uses = Counter(aliases.get(name, name) for name in order)
    waiting: dict[str, npt.NDArray[Any]] = {}
    for name in order:
        wanted = aliases.get(name, name)
        while wanted not in waiting:
            arrived = next(decoded, None)
            if arrived is None:
                raise NotEncodable("an announced tensor did not arrive", path=wanted)
            waiting[arrived[0]] = arrived[1]
            del arrived
        uses[wanted] -= 1
        yield name, waiting[wanted] if uses[wanted] else waiting.pop(wanted)
    # To its end, where what concerns the whole stream is checked.
    yield from decoded


def _some(
    source: str, origin: Origin, only: Sequence[str], reading: Mapping[str, Any]
) -> dict[str, npt.NDArray[Any]]:
    """Decode the named tensors alone."""
    names = list(dict.fromkeys(only))
    coded = list(dict.fromkeys(origin.tied.get(name, name) for name in names))
    try:
        arrays = dict(port.decode(source, coded, on_tensor=ignore, **reading))
        return {name: arrays[origin.tied.get(name, name)] for name in names}
    except KeyError:
        known = [
            *(tensor.name for tensor in port.describe(source, reading["limits"]).tensors),
            *origin.tied,
        ]
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, 3)
                hint = f"; did you mean {', '.join(map(printable, near))}?" if near else ""
                raise NotEncodable(f"the stream has no tensor of this name{hint}", path=name) from None
        raise
