# SPDX-License-Identifier: Apache-2.0
"""``nnr compress``."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click
import numpy.typing as npt

from nnr_codec.cli.terminal import note, quality_notes, size
from nnr_codec.errors import NotEncodable
from nnr_codec.files.paths import default_stream_path, refuse_model_as_stream, refuse_same_file
from nnr_codec.frameworks import Origin, kind_of_path, open_model, replacing, save_model
from nnr_codec.frameworks.atomic import temporary_folder

Tensors = dict[str, npt.NDArray[Any]]


@click.command(
    "compress",
    epilog="\b\nExamples:\n  nnr compress model.safetensors --evaluate score.py:accuracy --max-drop 0.5%\n"
    "  nnr compress model.pt small.nnr --evaluate score.py:loss --lower-is-better --max-drop 0.01\n"
    "  nnr compress model.onnx --evaluate score.py:run --as-file .onnx --max-drop 1% --plot search.png\n\n"
    "\b\nscore.py:\n  def accuracy(tensors):      # dict of name to NumPy array; with --as-file a path\n"
    "      ...\n      return correct / total",
)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@click.option(
    "--evaluate",
    required=True,
    metavar="SCRIPT.py:FUNCTION",
    help="Function that takes the decoded model and returns its score.",
)
@click.option(
    "--max-drop",
    required=True,
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
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT if it is a stream.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def command(
    source: str, target: str | None, evaluate: str, max_drop: str, lower_is_better: bool, as_file: str | None,
    importance: str | None, journal: str | None, max_evaluations: int, plot: str | None, effort: str | None, force: bool,
    quiet: bool,
) -> None:  # fmt: skip
    """Search the smallest stream whose decoded model keeps its score within --max-drop.

    The search varies the step sizes, their ratios between tensors, and lambda. You can interrupt it at any time: the same
    command continues from the journal.
    """
    from nnr_codec.codec.encode.config import EncoderConfig
    from nnr_codec.files.untied import UntiedModel
    from nnr_codec.rate_control.quality_search import compress_to_quality
    from nnr_codec.rate_control.search_report import Point, SearchReport

    target = target or default_stream_path(source)
    refuse_same_file(source, target)
    refuse_model_as_stream(target)
    score = _with_file(load_function(evaluate), as_file, source) if as_file else load_function(evaluate)
    importance_by_name = _read_importance(importance) if importance else None

    def print_point(point: Point, report: SearchReport) -> None:
        verdict = "keeps" if report.passes(point.score) else "fails"
        note(f"{size(point.size_bytes):>8}  {point.score:.6g}  {verdict}  {point.purpose}", quiet=quiet)

    with replacing(target, overwrite=force) as file, open_model(source) as model, quality_notes(quiet=quiet):
        try:
            stream, report = compress_to_quality(
                UntiedModel(model),
                score,
                max_drop=max_drop,
                higher_is_better=not lower_is_better,
                importance=importance_by_name,
                config=EncoderConfig() if effort is None else EncoderConfig(effort=effort),
                journal=journal or f"{target}.journal",
                max_evaluations=max_evaluations,
                on_point=print_point,
                kind=model.kind,
                metadata=Origin.of(model).to_metadata(),
                topology=model.topology(),
                attachments=model.attachments,
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        file.write(stream)
        original = sum(os.path.getsize(path) for path in model.paths)
    if plot:
        report.plot(plot)
    if not quiet:
        click.echo(report.table())
    if report.best is not None:
        note(
            f"{target}: {size(original)} -> {size(len(stream))}, {original / len(stream):.1f} times smaller, "
            f"score {report.reference_score:.6g} -> {report.best.score:.6g}",
            quiet=quiet,
        )


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
