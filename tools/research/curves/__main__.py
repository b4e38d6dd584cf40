# SPDX-License-Identifier: Apache-2.0
"""Tables (Markdown on stdout) of rate-distortion curves, and plots where matplotlib is installed.

Without arguments everything is measured, which takes an hour: most of it is NNCodec's.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from conformance.peers.client import REPOSITORY, Peer
from tools import real_models
from tools.research.curves import models, tables
from tools.research.curves.sources import SOURCES

_NAMES = (*real_models.SHARED_FILES, *real_models.PACKAGES)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools/dev.py curves --", description=__doc__)
    parser.add_argument(
        "--weights", type=int, default=1_000_000, help="of the synthetic sources; 0 leaves them out"
    )
    parser.add_argument(
        "--ideal-weights",
        type=int,
        default=500_000,
        help="of the ideal trellis, whose tables learn from its own sample: with few it seems too good at high rates",
    )
    parser.add_argument("--sources", nargs="*", default=list(SOURCES), choices=list(SOURCES))
    parser.add_argument(
        "--errors",
        type=float,
        nargs="+",
        default=list(tables.ERRORS),
        help="root mean square, on the sources",
    )
    parser.add_argument(
        "--efforts", nargs="+", default=["medium", "best"], help="on the sources; the first on the models"
    )
    parser.add_argument(
        "--models", nargs="*", default=list(_NAMES), help=f"{', '.join(_NAMES)}, or model files"
    )
    parser.add_argument("--qp", type=int, nargs="+", help="instead of -40, -36 ... -12")
    parser.add_argument(
        "--no-check", action="store_true", help="do not validate streams nor have NNCodec decode them"
    )
    parser.add_argument(
        "--presets",
        nargs="*",
        default=["resnet56"],
        help="models on which all efforts and the targets are shown",
    )
    parser.add_argument(
        "--shared",
        type=Path,
        default=real_models.shared_folder(),
        help="folder with models/resnet56_cifar100.pt; NNR_SHARED names it, too",
    )
    parser.add_argument(
        "--cache", type=Path, default=REPOSITORY / "build/curves", help="where packages are unpacked"
    )
    parser.add_argument("--plots", type=Path, help="folder for sources.png and models.png; needs matplotlib")
    arguments = parser.parse_args()
    missing = {
        name
        for name in (*arguments.models, *arguments.presets)
        if not real_models.is_here(name, arguments.shared)
    }
    for name in sorted(missing):
        print(f"{name} is left out: it is not in {arguments.shared}", file=sys.stderr)
    with Peer(timeout_seconds=1800) as peer:
        rows = {}
        for name in arguments.sources if arguments.weights else []:
            source = SOURCES[name](arguments.weights)
            rows[name] = tables.source_table(
                source, arguments.efforts, arguments.errors, peer, arguments.ideal_weights
            )
        curves = {}
        for name in (name for name in arguments.models if name not in missing):
            tensors = real_models.load(name, arguments.shared, arguments.cache)
            qps = tuple(arguments.qp or models.QPS)
            curves[name] = tables.model_table(
                name, tensors, qps, arguments.efforts[0], peer, not arguments.no_check
            )
        for name in (name for name in arguments.presets if name not in missing):
            tensors = real_models.load(name, arguments.shared, arguments.cache)
            tables.effort_table(name, tensors)
            tables.target_table(name, tensors)
    if arguments.plots:
        from tools.research.curves import plots

        if rows:
            plots.plot_sources(rows, arguments.plots / "sources.png")
        if curves:
            plots.plot_models(curves, arguments.plots / "models.png")


if __name__ == "__main__":
    main()
