# SPDX-License-Identifier: Apache-2.0
"""``nnr encode``."""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click
import numpy.typing as npt

from nnr_codec.cli import port
from nnr_codec.cli.terminal import note, progress, size
from nnr_codec.errors import NotEncodable
from nnr_codec.frameworks import ModelFile, Origin, open_model, replacing

if TYPE_CHECKING:
    from nnr_codec.codec import TargetReport


class _Untied(Mapping[str, npt.NDArray[Any]]):
    """A source without the names that share another's elements: each element is coded once."""

    def __init__(self, source: ModelFile) -> None:
        self._source = source
        self._names = [name for name in source.names() if name not in source.tied]

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._source[name]

    def dtype_of(self, name: str) -> str:
        """Type of one tensor, without reading it."""
        return self._source.dtype_of(name)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Shape of one tensor, without reading it."""
        return self._source.shape_of(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _pattern_and_qp(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, int], ...] | None:
    del ctx, param
    pairs = []
    for value in values:
        pattern, _, qp = value.rpartition("=")
        try:
            pairs.append((pattern, int(qp)))
        except ValueError:
            pattern = ""
        if not pattern:
            raise click.BadParameter(f"{value!r} is not PATTERN=QP")
    return tuple(pairs) or None


@click.command(
    "encode",
    epilog="\b\nExamples:\n  nnr encode resnet.pt                    # writes resnet.nnr\n"
    "  nnr encode model.safetensors small.nnr --qp -24\n"
    "  nnr encode model.onnx model.nnr --qp-for 'head.*=-40' --no-dependent\n"
    "  nnr encode sharded/model.safetensors.index.json model.nnr",
)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@click.option(
    "--qp", type=int, help="Quantisation parameter: larger is smaller and coarser; step size 2^(QP/4)."
)
@click.option("--qp-1d", type=int, help="The same for one-dimensional tensors (biases, norms).")
@click.option(
    "--qp-for", "qp_by_name", multiple=True, metavar="PATTERN=QP", callback=_pattern_and_qp,
    help="The same for tensors whose name matches; repeatable, the first match counts.",
)  # fmt: skip
@click.option(
    "--qp-density", type=click.IntRange(0, 7), help="Steps per doubling of the step size, as a power of 2."
)
@click.option(
    "--dependent/--no-dependent", default=None, help="Dependent quantisation: smaller, slower to encode."
)
@click.option("--codebook/--no-codebook", default=None, help="Code the values that occur as a codebook.")
@click.option(
    "--bit-depth",
    type=click.IntRange(2, 16),
    help="Choose each tensor's step so that levels have so many bits.",
)
@click.option(
    "--scan-order", type=click.IntRange(0, 4), help="0 row by row; 1-4 blocks of 8-64 with entry points."
)
@click.option(
    "--unary-length", type=click.IntRange(1, 256), help="Greater-than flags before the escape code."
)
@click.option(
    "--search/--no-search",
    "search_initialisations",
    default=None,
    help="Choose context initialisations by cost.",
)
@click.option("--row-skip/--no-row-skip", default=None, help="Mark rows that are all zero.")
@click.option(
    "--profile",
    "general_profile_idc",
    type=click.IntRange(0, 1),
    help="0: first edition of the standard, 1: second.",
)
@click.option(
    "--effort",
    type=click.Choice(["fast", "medium", "slow", "best"]),
    help="How much is tried for fewer bytes.",
)
@click.option(
    "--target-ratio",
    "ratio",
    type=click.FloatRange(0, min_open=True),
    help="Times smaller than IN's tensors.",
)
@click.option(
    "--target-bits", "bits", type=click.FloatRange(0, min_open=True), help="Bits per weight of the stream."
)
@click.option(
    "--max-error",
    type=click.FloatRange(0, min_open=True),
    help="Relative error of the whole model, as a fraction.",
)
@click.option(
    "--per-tensor", is_flag=True, help="--max-error of each tensor instead (biases and norms may have less)."
)
@click.option("--threads", type=click.IntRange(1), help="Threads to encode with; by default all cores.")
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it fails.")
def command(
    source: str, target: str | None, threads: int | None, force: bool, quiet: bool, **options: Any
) -> None:
    """Compress a model file to an NNR stream.

    IN is a safetensors file, an NPZ archive, a PyTorch state dict, an ONNX model, or the index of a
    sharded set.
    """
    target = target or default_target(source)
    per_tensor = options.pop("per_tensor")
    if per_tensor and options["max_error"] is None:
        raise click.UsageError("--per-tensor goes with --max-error")
    if os.path.exists(target) and os.path.exists(source) and os.path.samefile(source, target):
        raise NotEncodable("input and output are the same file", path=target)
    chosen = {name: value for name, value in options.items() if value is not None}
    if chosen.get("codebook"):
        # The two exclude each other, and the codebook was asked for.
        chosen.setdefault("dependent", False)
    wanted: dict[str, Any] = {
        name: chosen.pop(name) for name in ("ratio", "bits", "max_error") if name in chosen
    }
    if len(wanted) > 1:
        raise click.UsageError("one of --target-ratio, --target-bits and --max-error at a time")
    if not all(map(math.isfinite, wanted.values())):
        raise click.UsageError("a target is a finite number")
    if per_tensor:
        wanted["per_tensor"] = True
    config = port.configure(chosen)
    started = time.perf_counter()
    with replacing(target, overwrite=force) as file, open_model(source) as model:
        if model.left_out:
            note(f"nnr: not part of the model, left out: {', '.join(model.left_out)}", quiet=quiet)
        sizes = {name: model.describe(name).size_bytes for name in model if name not in model.tied}
        weights = sum(math.prod(model.shape_of(name)) for name in sizes)
        metadata = Origin.of(model).to_metadata()
        with progress("encoding", sizes, quiet=quiet) as on_tensor:
            encode: Callable[..., TargetReport | None] = (
                functools.partial(port.encode_to_target, target=wanted) if wanted else port.encode
            )
            report = encode(
                _Untied(model),
                config,
                file=file,
                kind=model.kind,
                metadata=metadata,
                threads=threads or os.cpu_count() or 1,
                on_tensor=on_tensor,
            )
        original = model.size_bytes
    if report is not None and not report.met:
        note(f"{target}: {missed(report, per_tensor=per_tensor)}", quiet=quiet)
    if not os.path.isfile(target):
        return
    coded = os.path.getsize(target)
    ratio = f"{original / coded:.1f} times smaller" if coded else "empty"
    rate = f"{coded * 8 / weights:.2f} bits per weight" if weights else "no weights"
    seconds = time.perf_counter() - started
    note(f"{target}: {size(original)} -> {size(coded)}, {ratio}, {rate}, {seconds:.1f} s", quiet=quiet)


def missed(report: TargetReport, *, per_tensor: bool) -> str:
    """Say how far a target was missed."""
    asked, reached = f"{report.asked:.4g}", f"{report.reached:.4g}"
    if report.target == "ratio":
        return f"asked for {asked} times smaller, reached {reached}: out of reach"
    if report.target == "bits":
        return f"asked for {asked} bits per weight, reached {reached}: out of reach"
    where = " in the tensor farthest from it" if per_tensor else ""
    return f"asked for a relative error of {asked}, reached {reached}{where}: out of reach"


def default_target(source: str) -> str:
    """Name the stream after the model.

    >>> default_target("a/model.safetensors"), default_target("a/model.safetensors.index.json")
    ('a/model.nnr', 'a/model.nnr')
    """
    return os.path.splitext(source.rstrip("/").removesuffix(".index.json"))[0] + ".nnr"
