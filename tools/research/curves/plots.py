# SPDX-License-Identifier: Apache-2.0
"""Plots of the curves; needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.research.curves.models import Measured
from tools.research.curves.tables import Row


def plot_sources(rows: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Plot distances to the bound over bits, one panel per source."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(rows), figsize=(6 * len(rows), 4), squeeze=False)
    for axis, (name, points) in zip(axes[0], rows.items(), strict=True):
        for effort in dict.fromkeys(p.effort for p in points):
            curve = sorted((p.bits, p.distance) for p in points if p.effort == effort)
            axis.plot(*zip(*curve, strict=True), marker="o", label=effort)
        references = sorted((p.bits, p.ideal, p.ideal + p.coded, p.peer) for p in points)
        bits = [p[0] for p in references]
        axis.plot(bits, [p[1] for p in references], "--", color="black", label="ideal trellis")
        axis.plot(bits, [p[2] for p in references], ":", color="grey", label="its levels, coded")
        axis.plot(bits, [p[3] for p in references], marker=".", label="NNCodec")
        axis.set(title=name, xlabel="bits per weight", ylabel="bits above the Shannon bound", ylim=(0, 0.3))
        axis.legend(fontsize="small")
    figure.savefig(path, bbox_inches="tight", dpi=80)


def plot_models(curves: Mapping[str, tuple[Sequence[Measured], Sequence[Measured]]], path: Path) -> None:
    """Plot squared error over bytes, one panel per model."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(curves), figsize=(5 * len(curves), 4), squeeze=False)
    for axis, (name, both) in zip(axes[0], curves.items(), strict=True):
        for label, points in zip(("nnr_codec", "NNCodec"), both, strict=True):
            axis.plot(
                [p.size_bytes / 1e6 for p in points],
                [p.squared_error for p in points],
                marker=".",
                label=label,
            )
        axis.set(title=name, xlabel="megabytes", ylabel="squared error", yscale="log")
        axis.legend(fontsize="small")
    figure.savefig(path, bbox_inches="tight", dpi=80)
