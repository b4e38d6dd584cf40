# SPDX-License-Identifier: Apache-2.0
"""``nnr decode``."""

from __future__ import annotations

import difflib
import os
import time

import click

from nnr_codec.cli import port
from nnr_codec.cli.terminal import note, printable, progress, size
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import Origin, kind_of_path, save_model

_SUFFIX_OF_KIND = {"safetensors": ".safetensors", "npz": ".npz", "pytorch": ".pt", "onnx": ".onnx"}


@click.command(
    "decode",
    epilog="\b\nExamples:\n  nnr decode model.nnr                    # writes the kind it was made from\n"
    "  nnr decode model.nnr model.npz\n  nnr decode model.nnr head.npz --only head.weight --only head.bias\n"
    "  nnr decode model.nnr new.onnx --template model.onnx",
)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@click.option("--only", multiple=True, metavar="NAME", help="Decode this tensor alone; repeatable.")
@click.option("--template", metavar="FILE", help="For ONNX: the model whose weights are replaced.")
@click.option("--threads", type=click.IntRange(1), help="Threads to decode with; by default all cores.")
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it fails.")
def command(
    source: str,
    target: str | None,
    only: tuple[str, ...],
    template: str | None,
    threads: int | None,
    force: bool,
    quiet: bool,
) -> None:
    """Decompress an NNR stream to a model file.

    OUT's name says its kind: .safetensors, .npz, .pt or .onnx. Types and metadata of the original come back.
    """
    started = time.perf_counter()
    description = port.describe(source)
    origin = Origin.from_metadata(description.kind, description.metadata)
    kind = (kind_of_path(target) if target else None) or origin.kind or "safetensors"
    target = target or os.path.splitext(source)[0] + _SUFFIX_OF_KIND.get(kind, ".safetensors")
    # Said before the work, and checked again when the file takes its name.
    if os.path.isfile(target) and not force:
        raise FileExistsError(17, "File exists", target)
    if os.path.exists(target) and os.path.samefile(source, target):
        raise NotEncodable("input and output are the same file", path=target)
    wanted = _resolve(only, source, origin)
    coded = list(dict.fromkeys(origin.tied.get(name, name) for name in wanted)) if wanted else None
    with progress("decoding", {}, quiet=quiet) as on_tensor:
        arrays = port.decode(
            source, coded, threads=threads or os.cpu_count() or 1, on_tensor=on_tensor
        ).tensors
    dtypes = description.dtypes
    aliases = {name: first for name, first in origin.tied.items() if first in arrays}
    present = {**arrays, **aliases}
    order = wanted or [
        *(n for n in origin.order if n in present),
        *(n for n in arrays if n not in origin.order),
    ]
    save_model(
        target,
        {name: arrays[aliases.get(name, name)] for name in order},
        kind=kind,
        metadata=origin.metadata,
        dtypes={name: dtypes[n] for name in order if (n := aliases.get(name, name)) in dtypes},
        tied=aliases,
        template=template if template is not None else origin.topology,
        overwrite=force,
    )
    seconds = time.perf_counter() - started
    if os.path.isfile(target):
        note(f"{target}: {len(order)} tensors, {size(os.path.getsize(target))}, {seconds:.1f} s", quiet=quiet)


def _resolve(only: tuple[str, ...], source: str, origin: Origin) -> list[str]:
    if not only:
        return []
    known = [name for unit in port.read_units(source) for name in unit.names]
    known += list(origin.tied)
    for name in only:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3)
            hint = f"; did you mean {', '.join(map(printable, near))}?" if near else ""
            raise NotEncodable(f"the stream has no tensor of this name{hint}", path=name)
    return list(dict.fromkeys(only))
