# SPDX-License-Identifier: Apache-2.0
"""``nnr compress``."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click
import numpy.typing as npt

from nnr_codec.cli.terminal import note, printable, quality_notes, size
from nnr_codec.errors import NotEncodable
from nnr_codec.files.paths import default_stream_path, refuse_model_as_stream, refuse_same_file
from nnr_codec.frameworks import Origin, kind_of_path, open_model, replacing, save_model
from nnr_codec.frameworks.atomic import temporary_folder

if TYPE_CHECKING:
    from nnr_codec.rate_control.search_report import Point, SearchReport

Tensors = dict[str, npt.NDArray[Any]]
_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


@click.command(
    "compress",
    epilog="\b\nExamples:\n  nnr compress model.onnx --ratio 10\n"
    "  nnr compress model.onnx --inputs samples.npz --divergence 0.001\n"
    "  nnr compress HF_FOLDER --to small.nnr --inputs text.txt --size 60MB\n"
    "  nnr compress model.safetensors --evaluate score.py:accuracy --max-drop 0.5%\n"
    "  nnr compress model.pt small.nnr --evaluate score.py:loss --lower-is-better --max-drop 0.01\n"
    "  nnr compress model.onnx --evaluate score.py:run --as-file .onnx --max-drop 1% --plot search.png\n\n"
    "\b\nscore.py:\n  def accuracy(tensors):      # dict of name to NumPy array; with --as-file a path\n"
    "      ...\n      return correct / total",
)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@click.option("--to", "to", metavar="OUT", help="The stream, as the second argument.")
@click.option(
    "--divergence",
    type=click.FloatRange(0, min_open=True),
    help="Largest divergence of outputs: KL in nats of distributions, else squared relative error.",
)
@click.option("--size", "size_text", metavar="SIZE", help="Size to reach: bytes, or with kB, MB, GB.")
@click.option("--ratio", type=click.FloatRange(1, min_open=True), help="Size to reach: IN over OUT.")
@click.option(
    "--inputs",
    metavar="FILE|FOLDER",
    help="Inputs to run the model on: .npz, .npy, a folder of images, a text. By default they are made.",
)
@click.option(
    "--reparametrise",
    is_flag=True,
    help="Move scales of channels between layers of a transformer: same function, other weights.",
)
@click.option(
    "--evaluate",
    metavar="SCRIPT.py:FUNCTION",
    help="Function that takes the decoded model and returns its score, instead of a divergence.",
)
@click.option(
    "--max-drop",
    metavar="NUMBER|SHARE%",
    help="Largest loss of score: in its unit, or in percent of the original score.",
)
@click.option("--lower-is-better", is_flag=True, help="The score is a loss or an error.")
@click.option(
    "--as-file",
    metavar="SUFFIX",
    help="Pass the path of a model file to the function: .safetensors, .npz, .pt or .onnx.",
)
@click.option("--importance", metavar="NPZ", help="Weights of squared errors, as one array per tensor name.")
@click.option(
    "--journal", metavar="FILE", help="File of evaluated points, to resume a search; by default OUT.journal."
)
@click.option(
    "--max-evaluations",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="Largest number of points.",
)
@click.option("--plot", metavar="FILE", help="Plot size against score to a file; needs matplotlib.")
@click.option(
    "--effort", type=click.Choice(["fast", "medium", "slow", "best"]), help="Time spent per encoding."
)
@click.option("--key", metavar="KEY", help="Entry of a PyTorch checkpoint that is the model; '.' for all.")
@click.option("--checksum", is_flag=True, default=None, help="Append a SHA-256 of the stream.")
@click.option("--threads", type=click.IntRange(1), help="Encoding threads; by default one for each core.")
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT if it is a stream.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def command(
    source: str, target: str | None, to: str | None, evaluate: str | None, max_drop: str | None, force: bool, quiet: bool,
    divergence: float | None, size_text: str | None, ratio: float | None, inputs: str | None, plot: str | None,
    **options: Any,
) -> None:  # fmt: skip
    """Search the smallest stream for a quality of the decoded model, or the best quality for a size.

    An ONNX model, or a Hugging Face folder, runs by itself: ask for a --divergence of its outputs, a --size or a --ratio. With
    --evaluate, a function of yours measures the quality, and --max-drop limits its loss. You can interrupt a search at any time:
    the same command continues from the journal.
    """
    if to is not None and target is not None:
        raise click.UsageError("OUT is there twice")
    target = to or target or default_stream_path(source)
    if evaluate is None:
        targets = {
            "divergence": divergence,
            "size_bytes": None if size_text is None else parsed_size(size_text),
            "ratio": ratio,
        }
        if sum(value is not None for value in targets.values()) != 1:
            raise click.UsageError(
                "one of --divergence, --size, --ratio is required, or --evaluate with --max-drop"
            )
        report, original, n_bytes = _run_model(
            source, target, targets, inputs, options, force=force, quiet=quiet
        )
        measure = "divergence"
    else:
        if max_drop is None:
            raise click.UsageError("--evaluate requires --max-drop")
        if inputs is not None or any(value is not None for value in (divergence, size_text, ratio)):
            raise click.UsageError("--evaluate replaces --divergence, --size, --ratio and --inputs")
        report, original, n_bytes = _evaluate(
            source, target, evaluate, max_drop, options, force=force, quiet=quiet
        )
        measure = "score"
    if plot:
        report.plot(plot)
    if not quiet:
        click.echo(report.table())
    if report.chosen is not None:
        note(
            f"{target}: {size(original)} -> {size(n_bytes)}, {original / n_bytes:.1f} times smaller, "
            f"{measure} {report.reference_score:.6g} -> {report.chosen.score:.6g}",
            quiet=quiet,
        )


def parsed_size(text: str) -> float:
    """Return a number of bytes.

    Raises
    ------
    click.UsageError
        The text is not a positive number, or its unit is unknown.

    Examples
    --------
    >>> parsed_size("340000"), parsed_size("1.5 MB")
    (340000.0, 1500000.0)
    """
    match = re.fullmatch(r"\s*([0-9.]+)\s*([kMG]?)B?\s*", text)
    try:
        value = float(match[1]) * _UNITS[match[2]] if match else 0.0
    except ValueError:
        value = 0.0
    if not value > 0:
        raise click.UsageError(f"{text!r} is no size such as 340000, 340kB or 1.5MB")
    return value


def _run_model(
    source: str,
    target: str,
    targets: Mapping[str, float | None],
    inputs: str | None,
    options: Mapping[str, Any],
    *,
    force: bool,
    quiet: bool,
) -> tuple[SearchReport, int, int]:
    """Compress by the divergence of the model's outputs; return the report, and the sizes before and after."""
    from nnr_codec.files.compressing import compress_file

    unused = [name for name in ("lower_is_better", "as_file", "importance") if options[name]]
    if unused:
        raise click.UsageError(f"--{unused[0].replace('_', '-')} requires --evaluate")

    n_measured = 0

    def count(name: str) -> None:
        nonlocal n_measured
        n_measured += 1
        if not quiet and sys.stderr.isatty():
            click.echo(f"\r\x1b[Kinputs of {n_measured} weights: {printable(name)[:60]}", err=True, nl=False)

    def print_point(point: Point, report: SearchReport) -> None:
        del report
        if sys.stderr.isatty():
            click.echo("\r\x1b[K", err=True, nl=False)
        note(f"{size(point.size_bytes):>8}  divergence {point.score:.4g}  {point.purpose}", quiet=quiet)

    with quality_notes(quiet=quiet):
        report = compress_file(
            source,
            target,
            divergence=targets["divergence"],
            size_bytes=targets["size_bytes"],
            ratio=targets["ratio"],
            inputs=inputs,
            reparametrise=options["reparametrise"],
            key=options["key"],
            journal=options["journal"],
            overwrite=force,
            threads=options["threads"],
            on_moments=count,
            on_point=print_point,
            **_configured(options),
        )
    return report.search, report.model_bytes, report.stream_bytes


def _evaluate(
    source: str,
    target: str,
    evaluate: str,
    max_drop: str,
    options: Mapping[str, Any],
    *,
    force: bool,
    quiet: bool,
) -> tuple[SearchReport, int, int]:
    """Compress by the user's score; return the report, and the sizes before and after."""
    from nnr_codec.codec.encode.config import EncoderConfig
    from nnr_codec.files.untied import UntiedModel
    from nnr_codec.rate_control.quality_search import compress_to_quality

    refuse_same_file(source, target)
    refuse_model_as_stream(target)
    as_file, importance = options["as_file"], options["importance"]
    score = _with_file(load_function(evaluate), as_file, source) if as_file else load_function(evaluate)

    def print_point(point: Point, report: SearchReport) -> None:
        verdict = "keeps" if report.passes(point.score) else "fails"
        note(f"{size(point.size_bytes):>8}  {point.score:.6g}  {verdict}  {point.purpose}", quiet=quiet)

    with (
        replacing(target, overwrite=force) as file,
        open_model(source, key=options["key"]) as model,
        quality_notes(quiet=quiet),
    ):
        try:
            stream, report = compress_to_quality(
                UntiedModel(model),
                score,
                max_drop=max_drop,
                higher_is_better=not options["lower_is_better"],
                importance=_read_importance(importance) if importance else None,
                config=EncoderConfig(**_configured(options)),
                journal=options["journal"] or f"{target}.journal",
                max_evaluations=options["max_evaluations"],
                on_point=print_point,
                kind=model.kind,
                metadata=Origin.of(model).to_metadata(),
                topology=model.topology(),
                attachments=model.attachments,
                threads=options["threads"] or os.cpu_count() or 1,
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        file.write(stream)
        return report, sum(os.path.getsize(path) for path in model.paths), len(stream)


def _configured(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `EncoderConfig` among the options."""
    return {name: options[name] for name in ("effort", "checksum") if options[name] is not None}


def load_function(name: str) -> Callable[[Any], float]:
    """Load the function named by ``path/to/script.py:function``.

    Raises
    ------
    click.UsageError
        The script or the function does not exist.
    """
    path, _, function = name.rpartition(":")
    if not path or not os.path.isfile(path):
        raise click.UsageError(f"{name!r} is not SCRIPT.py:FUNCTION with a script that exists")
    spec = importlib.util.spec_from_file_location("nnr_evaluation", path)
    if spec is None or spec.loader is None:
        raise click.UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # The script can import modules in its folder, as with `python script.py`.
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    spec.loader.exec_module(module)
    evaluate = getattr(module, function, None)
    if not callable(evaluate):
        raise click.UsageError(f"{path} has no function {function!r}")

    def checked(model: Any) -> float:
        score = float(evaluate(model))
        if score != score:
            raise NotEncodable("the evaluation function returned NaN", path=name)
        return score

    return checked


def _with_file(score: Callable[[Any], float], suffix: str, source: str) -> Callable[[Tensors], float]:
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    if kind_of_path(f"model{suffix}") is None:
        raise click.UsageError(f"--as-file {suffix}: unknown kind of model file")

    def evaluate(tensors: Tensors) -> float:
        with temporary_folder() as folder:
            path = os.path.join(folder, f"model{suffix}")
            save_model(path, tensors, template=source if suffix == ".onnx" else None)
            return score(path)

    return evaluate


def _read_importance(path: str) -> Mapping[str, npt.NDArray[Any]]:
    with open_model(path) as arrays:
        return {name: arrays[name] for name in arrays}
