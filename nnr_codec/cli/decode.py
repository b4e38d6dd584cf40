# SPDX-License-Identifier: Apache-2.0
"""``nnr decode``."""

from __future__ import annotations

import click

from nnr_codec.cli.limits import limit_option
from nnr_codec.cli.streams import input_operand, naming_stream, output_operand
from nnr_codec.cli.terminal import note, progress, size
from nnr_codec.model import Limits


def _bytes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Parse a size such as 5GB or 500MB.

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
    "  nnr decode model.nnr half.safetensors --dtype float16\n"
    "  nnr decode update.nnr tuned.safetensors --base model.nnr\n"
    "  nnr decode model.nnr new.onnx --template model.onnx\n"
    "  nnr decode model.nnr parts/model.safetensors.index.json --shard-size 2GB\n"
    "  nnr decode - - --kind npz < model.nnr > model.npz",
)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@click.option("--only", multiple=True, metavar="NAME", help="Decode this tensor only; repeatable.")
@click.option(
    "--kind",
    type=click.Choice(["safetensors", "npz", "pytorch", "onnx", "gguf", "keras", "h5"]),
    help="Kind of OUT, regardless of its name.",
)
@click.option("--dtype", metavar="TYPE", help="Store all floats as float16, bfloat16, float32 or float64.")
@click.option(
    "--base", multiple=True, metavar="FILE",
    help="Model that the update IN was made from; repeat it for the updates in between, in their order.",
)  # fmt: skip
@click.option("--template", metavar="FILE", help="For ONNX: the model whose weights are replaced.")
@click.option(
    "--shard-size", "shard_bytes", metavar="SIZE", callback=_bytes,
    help="Write safetensors files of at most this size (5GB, 500MB) and an index.",
)  # fmt: skip
@click.option("--threads", type=click.IntRange(1), help="Decoding threads; by default one for each core.")
@limit_option
@click.option("--require-checksum", is_flag=True, help="Refuse a stream that does not end with a checksum.")
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def command(
    source: str,
    target: str | None,
    only: tuple[str, ...],
    kind: str | None,
    dtype: str | None,
    base: tuple[str, ...],
    template: str | None,
    shard_bytes: int | None,
    threads: int | None,
    limits: Limits,
    require_checksum: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Decompress an NNR stream to a model file.

    The suffix of OUT selects its kind: .safetensors, .npz, .pt, .onnx, .gguf, .keras or .h5; .safetensors.index.json is a set
    of files, and a folder gets safetensors with the files attached. By default OUT has the kind of the encoded file, with its
    data types and metadata. - is standard input or output.

    Files are written tensor by tensor and need memory for a few of the largest tensors, apart from .pt files, which need
    memory for the whole model.
    """
    from nnr_codec.files.decoding import decode_file
    from nnr_codec.files.model_output import float_tag

    if dtype is not None:
        try:
            float_tag(dtype)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    with naming_stream(source), progress("decoding", quiet=quiet) as on_tensor:
        report = decode_file(
            input_operand(source),
            output_operand(target, source),
            kind=kind,
            names=only or None,
            dtype=dtype,
            base=base or None,
            template=template,
            shard_bytes=shard_bytes,
            limits=limits,
            require_checksum=require_checksum,
            overwrite=force,
            threads=threads,
            progress=on_tensor,
        )
    count = f"{report.n_tensors} tensor{'' if report.n_tensors == 1 else 's'}"
    note(
        f"{report.path or 'standard output'}: {count}, {size(report.model_bytes)}, {report.seconds:.1f} s",
        quiet=quiet,
    )
