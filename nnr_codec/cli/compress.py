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

from nnr_codec.cli.terminal import note, size
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
    help="Takes the decoded model, returns a number.",
)
@click.option(
    "--max-drop",
    required=True,
    metavar="NUMBER|SHARE%",
    help="Loss allowed: in the score's unit, or a share of it.",
)
@click.option("--lower-is-better", is_flag=True, help="The score is a loss or an error.")
@click.option(
    "--as-file",
    metavar="SUFFIX",
    help="Give the function a model file's path; .safetensors, .npz, .pt, .onnx.",
)
@click.option(
    "--importance", metavar="NPZ", help="Arrays by tensor name: what squared errors of weights are worth."
)
@click.option(
    "--journal", metavar="FILE", help="Where points are noted, to be resumed from; by default OUT.journal."
)
@click.option(
    "--max-evaluations", type=click.IntRange(1), default=60, show_default=True, help="Points to try at most."
)
@click.option("--plot", metavar="FILE", help="Draw size against score; needs matplotlib.")
@click.option(
    "--effort", type=click.Choice(["fast", "medium", "slow", "best"]), help="How hard each encoding tries."
)
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it fails.")
def command(
    source: str, target: str | None, evaluate: str, max_drop: str, lower_is_better: bool, as_file: str | None,
    importance: str | None, journal: str | None, max_evaluations: int, plot: str | None, effort: str | None, force: bool,
    quiet: bool,
) -> None:  # fmt: skip
    """Search the smallest stream whose decoded model scores as well as you ask.

    Steps, their division between tensors, and what a bit is worth are searched. Interrupt it at any time: the same command
    goes on where it was.
    """
    from nnr_codec.codec.encode.config import EncoderConfig
    from nnr_codec.rate_control.quality_search import compress_to_quality
    from nnr_codec.rate_control.search_report import Point, SearchReport

    target = target or default_stream_path(source)
    refuse_same_file(source, target)
    refuse_model_as_stream(target)
    score = _with_file(load_function(evaluate), as_file, source) if as_file else load_function(evaluate)
    worth = _read_importance(importance) if importance else None

    def say(point: Point, report: SearchReport) -> None:
        verdict = "keeps" if report.passes(point.score) else "fails"
        note(f"{size(point.size_bytes):>8}  {point.score:.6g}  {verdict}  {point.purpose}", quiet=quiet)

    with replacing(target, overwrite=force) as file, open_model(source) as model:
        tensors = {name: model[name] for name in model if name not in model.tied}
        try:
            stream, report = compress_to_quality(
                tensors,
                score,
                max_drop=max_drop,
                higher_is_better=not lower_is_better,
                importance=worth,
                config=EncoderConfig() if effort is None else EncoderConfig(effort=effort),
                journal=journal or f"{target}.journal",
                max_evaluations=max_evaluations,
                on_point=say,
                kind=model.kind,
                metadata=Origin.of(model).to_metadata(),
                dtypes={name: model.dtype_of(name) for name in tensors},
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        file.write(stream)
        original = model.size_bytes
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
    """Load ``path/to/script.py:function``.

    Raises
    ------
    click.UsageError
        There is no such script or function.
    """
    path, _, function = name.rpartition(":")
    if not path or not os.path.isfile(path):
        raise click.UsageError(f"{name!r} is not SCRIPT.py:FUNCTION with a script that exists")
    spec = importlib.util.spec_from_file_location("nnr_evaluation", path)
    if spec is None or spec.loader is None:
        raise click.UsageError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    # As with `python script.py`, the script finds the modules beside it.
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    spec.loader.exec_module(module)
    found = getattr(module, function, None)
    if not callable(found):
        raise click.UsageError(f"{path} has no function {function!r}")

    def checked(model: Any) -> float:
        score = float(found(model))
        if score != score:
            raise NotEncodable("the evaluation function returned no number (NaN)", path=name)
        return score

    return checked


def _with_file(score: Callable[[Any], float], suffix: str, source: str) -> Callable[[Tensors], float]:
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    if kind_of_path(f"model{suffix}") is None:
        raise click.UsageError(f"--as-file {suffix}: no known kind of model file")

    def evaluate(tensors: Tensors) -> float:
        with temporary_folder() as folder:
            path = os.path.join(folder, f"model{suffix}")
            save_model(path, tensors, template=source if suffix == ".onnx" else None)
            return score(path)

    return evaluate


def _read_importance(path: str) -> Mapping[str, npt.NDArray[Any]]:
    with open_model(path) as arrays:
        return {name: arrays[name] for name in arrays}
