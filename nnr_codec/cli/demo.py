# SPDX-License-Identifier: Apache-2.0
"""``nnr demo``."""

from __future__ import annotations

import importlib.resources
import os
import zlib
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from nnr_codec.cli.demo_network import accuracy
from nnr_codec.cli.terminal import size, table
from nnr_codec.frameworks import open_model
from nnr_codec.frameworks.atomic import temporary_folder


@click.command("demo", epilog="\b\nExamples:\n  nnr demo\n  nnr demo --qp -20        # smaller and coarser")
@click.option("--qp", type=int, help="Quantisation parameter; by default the encoder's choice.")
def command(qp: int | None) -> None:
    """Compress a small trained network that comes with the package.

    The network classifies handwritten digits. The demo shows its size and accuracy before and after compression.
    """
    from nnr_codec.files.decoding import decode_file
    from nnr_codec.files.encoding import encode_file

    folder = importlib.resources.files("nnr_codec") / "demo-data"
    options: dict[str, Any] = {} if qp is None else {"qp": qp}
    with importlib.resources.as_file(folder / "digits.safetensors") as path, temporary_folder() as scratch:
        stream, model = os.path.join(scratch, "digits.nnr"), os.path.join(scratch, "digits.safetensors")
        encoded = encode_file(path, stream, threads=1, **options)
        decoded = decode_file(stream, model, threads=1)
        with open_model(path) as source, open_model(model) as target:
            original, restored = dict(source), dict(target)
    with importlib.resources.as_file(folder / "digits-test.npz") as path, open_model(path) as test:
        images, labels = test["images"], test["labels"]
    model_bytes, coded = encoded.model_bytes, encoded.stream_bytes

    weights = sum(array.size for array in original.values())
    deflated = len(zlib.compress(b"".join(array.tobytes() for array in original.values()), 9))
    rows = [
        ("safetensors, float32", size(model_bytes), f"{model_bytes * 8 / weights:.2f}", "1.0"),
        (
            "deflate (zip)",
            size(deflated),
            f"{deflated * 8 / weights:.2f}",
            f"{model_bytes / deflated:.1f}",
        ),
        ("NNR stream", size(coded), f"{coded * 8 / weights:.2f}", f"{model_bytes / coded:.1f}"),
    ]
    click.echo(f"A classifier of handwritten digits: {len(original)} tensors, {weights:,} weights\n")
    header = ("", "size", "bits per weight", "times smaller")
    for line in table(header, rows, (False, True, True, True)):
        click.echo("  " + line)
    before, after = accuracy(original, images, labels), accuracy(restored, images, labels)
    click.echo(f"\n  relative error of the weights   {relative_error(original, restored):.2%}")
    click.echo(f"  accuracy before compression     {before:.2%} of {len(labels)} digits")
    click.echo(f"  accuracy after compression      {after:.2%}")
    encoding, decoding = encoded.seconds * 1e3, decoded.seconds * 1e3
    click.echo(f"  encoded in {encoding:.0f} ms, decoded in {decoding:.0f} ms")
    click.echo("\nNext:  nnr encode model.safetensors model.nnr;  nnr info model.nnr;  nnr --help")


def relative_error(original: dict[str, npt.NDArray[Any]], restored: dict[str, npt.NDArray[Any]]) -> float:
    """Return the root of the sum of squared errors over the sum of squared weights."""
    error = sum(float(np.sum((original[n].astype(np.float64) - restored[n]) ** 2)) for n in original)
    energy = sum(float(np.sum(array.astype(np.float64) ** 2)) for array in original.values())
    return float((error / energy) ** 0.5)
