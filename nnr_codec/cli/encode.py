# SPDX-License-Identifier: Apache-2.0
"""``nnr encode``."""

from __future__ import annotations

import json
import math
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from nnr_codec.cli.streams import input_operand, output_operand
from nnr_codec.cli.terminal import note, printable, progress, quality_notes, size, table

if TYPE_CHECKING:
    from nnr_codec.codec.encode.config import EncoderConfig
    from nnr_codec.files.encoding import EncodeReport
    from nnr_codec.files.verification import TensorError
    from nnr_codec.rate_control.target_report import TargetReport

#: Tensors that ``--verify`` lists, those with the largest errors.
_LISTED_TENSORS = 20


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
    "  nnr encode model.onnx model.nnr --target-ratio 8 --verify\n"
    "  nnr encode sharded/model.safetensors.index.json model.nnr --checksum\n"
    "  nnr encode tuned.safetensors update.nnr --base model.nnr\n"
    "  cat model.safetensors | nnr encode - - > model.nnr",
)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@click.option(
    "--effort", type=click.Choice(["fast", "medium", "slow", "best"]), help="Time spent to save bytes."
)
@click.option(
    "--target-ratio",
    type=click.FloatRange(0, min_open=True),
    help="Size to reach: IN's tensors over OUT.",
)
@click.option(
    "--target-bits", type=click.FloatRange(0, min_open=True), help="Size to reach: bits per weight."
)
@click.option(
    "--max-error",
    type=click.FloatRange(0, min_open=True),
    help="Relative error of the whole model to reach, as a fraction.",
)
@click.option(
    "--per-tensor",
    is_flag=True,
    help="Apply --max-error to each tensor (biases and norms may get a smaller one).",
)
@click.option(
    "--base", multiple=True, metavar="FILE",
    help="Encode the changes to this model, a file or stream; repeat it for the updates that follow, in their order.",
)  # fmt: skip
@click.option(
    "--change-error",
    type=click.FloatRange(0, min_open=True),
    help="With --base: error of the changes, as a fraction; 0.2 by default.",
)
@click.option("--verify", is_flag=True, help="Decode OUT and report the error of each tensor.")
@click.option("--checksum", is_flag=True, default=None, help="Append a SHA-256 of the stream.")
@click.option(
    "--exact", multiple=True, metavar="PATTERN", help="Code matching tensors without any loss; repeatable."
)
@click.option(
    "--keep", multiple=True, metavar="PATTERN", help="Leave matching tensors as they are stored; repeatable."
)
@click.option("--recipe", metavar="FILE", help="Options of an earlier run; those given here replace them.")
@click.option("--save-recipe", metavar="FILE", help="Write the options of this run for a later one.")
@click.option(
    "--peer-compatible",
    is_flag=True,
    default=None,
    help="Carry what is no number in a form that NNCodec skips.",
)
@click.option(
    "--short-names",
    is_flag=True,
    default=None,
    help="Number the tensors and carry their names deflated; other decoders show numbers.",
)
@click.option("--qp", type=int, help="Quantisation parameter: step size 2^(QP/4); larger is coarser.")
@click.option("--qp-1d", type=int, help="The same for vectors (biases, norms).")
@click.option(
    "--qp-for", "qp_by_name", multiple=True, metavar="PATTERN=QP", callback=_pattern_and_qp,
    help="The same for tensors whose name matches; repeatable, the first match applies.",
)  # fmt: skip
@click.option(
    "--qp-density", type=click.IntRange(0, 7), help="Steps per doubling of the step size, as a power of 2."
)
@click.option(
    "--bit-depth",
    type=click.IntRange(2, 16),
    help="Choose the step of each tensor so that levels have at most this many bits.",
)
@click.option(
    "--dependent/--no-dependent", default=None, help="Dependent quantisation: smaller, slower to encode."
)
@click.option("--codebook/--no-codebook", default=None, help="Code the values that occur as a codebook.")
@click.option(
    "--scan-order", type=click.IntRange(0, 4), help="0: row by row; 1-4: blocks of 8-64 with entry points."
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
    help="0: first edition of the standard; 1: second.",
)
@click.option("--key", metavar="KEY", help="Entry of a PyTorch checkpoint that is the model; '.' for all.")
@click.option("--optimizer", is_flag=True, help="Encode a PyTorch checkpoint's optimizer state too.")
@click.option("--dequantize", is_flag=True, help="Encode the values of a GGUF file, not its blocks.")
@click.option("--threads", type=click.IntRange(1), help="Encoding threads; by default one for each core.")
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT if it is a stream.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def command(
    source: str,
    target: str | None,
    target_ratio: float | None,
    target_bits: float | None,
    max_error: float | None,
    per_tensor: bool,
    base: tuple[str, ...],
    change_error: float | None,
    verify: bool,
    recipe: str | None,
    save_recipe: str | None,
    key: str | None,
    optimizer: bool,
    dequantize: bool,
    threads: int | None,
    force: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Compress a model file to an NNR stream.

    IN is a safetensors, NPZ, PyTorch, ONNX, GGUF or Keras file, a folder with one, the index of a sharded set, or - for
    standard input. OUT is IN with the suffix .nnr by default, or - for standard output.
    """
    if per_tensor and max_error is None:
        raise click.UsageError("--per-tensor requires --max-error")
    if change_error is not None and not base:
        raise click.UsageError("--change-error requires --base")
    targets = [value for value in (target_ratio, target_bits, max_error) if value is not None]
    if len(targets) > 1:
        raise click.UsageError("--target-ratio, --target-bits and --max-error exclude each other")
    if not all(map(math.isfinite, targets)):
        raise click.UsageError("a target must be a finite number")
    if base and targets:
        raise click.UsageError("--base excludes target sizes and errors; --change-error sets the accuracy")
    # Options that were not given are None, or () where they may be repeated.
    config_options = {name: value for name, value in options.items() if value not in (None, ())}
    if config_options.get("codebook"):
        # A codebook excludes dependent quantisation, which is on by default.
        config_options.setdefault("dependent", False)

    from nnr_codec.codec.encode.config import EncoderConfig
    from nnr_codec.files.encoding import encode_file
    from nnr_codec.frameworks.atomic import replacing

    try:
        config = EncoderConfig(**config_options) if recipe is None else _with_recipe(recipe, config_options)
    except (ValueError, TypeError) as error:
        raise click.UsageError(str(error)) from None
    with ExitStack() as stack:
        if save_recipe is not None:
            # It gets its name when the stream is written.
            file = stack.enter_context(replacing(save_recipe, overwrite=force))
            file.write(json.dumps(config.to_recipe(), indent=2).encode() + b"\n")
        stack.enter_context(quality_notes(quiet=quiet))
        on_tensor = stack.enter_context(progress("encoding", quiet=quiet))
        report = encode_file(
            input_operand(source),
            output_operand(target, source),
            config,
            key=key,
            optimizer=optimizer,
            dequantize=dequantize,
            target_ratio=target_ratio,
            target_bits=target_bits,
            max_error=max_error,
            per_tensor=per_tensor,
            base=base or None,
            change_error=change_error,
            verify=verify,
            overwrite=force,
            threads=threads,
            progress=on_tensor,
        )
    _print_report(report, per_tensor=per_tensor, quiet=quiet)


def _with_recipe(path: str, options: dict[str, Any]) -> EncoderConfig:
    """Return the options of a recipe file, replaced by those of the command line.

    Raises
    ------
    ValueError
        The file is no recipe.
    """
    from nnr_codec.codec.encode.config import EncoderConfig

    with open(path, encoding="utf-8") as file:
        try:
            recipe = json.load(file)
        except ValueError:
            raise ValueError(f"{path} is no recipe: it is not JSON") from None
    return replace(EncoderConfig.from_recipe(recipe), **options)


def _print_report(report: EncodeReport, *, per_tensor: bool, quiet: bool) -> None:
    name = report.path or "standard output"
    if report.not_encoded:
        note(f"nnr: not tensors of the model, not encoded: {', '.join(report.not_encoded)}", quiet=quiet)
    for sentence in report.notes:
        note(f"nnr: {sentence}", quiet=quiet)
    if report.target is not None and report.target.exceeded:
        note(f"{name}: {missed_target(report.target, per_tensor=per_tensor)}", quiet=quiet)
    if not quiet:
        for line in _error_lines(report.errors):
            note(line)
    if not report.stream_bytes:
        return
    bits = f"{report.bits_per_weight:.2f} bits per weight" if report.n_weights else "no weights"
    change = f"{size(report.model_bytes)} -> {size(report.stream_bytes)}, {_times(report.ratio)}"
    note(f"{name}: {change}, {bits}, {report.seconds:.1f} s", quiet=quiet)


def _times(ratio: float) -> str:
    """Format a ratio of sizes.

    >>> _times(6.5), _times(0.5)
    ('6.5 times smaller', '2.0 times larger')
    """
    return f"{ratio:.1f} times smaller" if ratio >= 1 else f"{1 / ratio:.1f} times larger"


def missed_target(report: TargetReport, *, per_tensor: bool) -> str:
    """Return the message for a target that is out of reach."""
    asked, reached = f"{report.asked:.4g}", f"{report.reached:.4g}"
    if report.target == "ratio":
        return f"target ratio {asked} is out of reach; the nearest is {reached}"
    if report.target == "bits":
        return f"target of {asked} bits per weight is out of reach; the nearest is {reached}"
    where = " in the tensor farthest from it" if per_tensor else ""
    return f"relative error {asked} is out of reach; the nearest is {reached}{where}"


def _error_lines(errors: tuple[TensorError, ...]) -> list[str]:
    if not errors:
        return []
    exact = sum(error.is_exact for error in errors)
    changed = sorted((e for e in errors if not e.is_exact), key=lambda e: e.relative_error, reverse=True)
    rows = [
        (
            f"{error.relative_error:.2e}",
            f"{error.largest_error:.2e}",
            "x".join(map(str, error.shape)),
            printable(error.name),
        )
        for error in changed[:_LISTED_TENSORS]
    ]
    lines = list(
        table(("relative error", "largest error", "shape", "tensor"), rows, (True, True, True, False))
    )
    if len(changed) > len(rows):
        lines.append(f"... and {len(changed) - len(rows)} tensors with smaller errors")
    return [
        *(lines if rows else []),
        f"{len(errors)} tensor{'' if len(errors) == 1 else 's'} decoded, {exact} exact",
    ]
