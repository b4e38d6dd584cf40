# SPDX-License-Identifier: Apache-2.0
"""Tables of rate-distortion curves, in Markdown on stdout, and plots where matplotlib is installed.

Without arguments, all curves are measured, which takes an hour, most of it in NNCodec.
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
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="tools/dev.py curves --", description=__doc__)
    parser.add_argument(
        "--weights", type=int, default=1_000_000, help="size of the synthetic sources; 0 skips them"
    )
    parser.add_argument(
        "--ideal-weights",
        type=int,
        default=500_000,
        help="size of the ideal trellis' sample; small samples overfit and look too good at high rates",
    )
    parser.add_argument("--sources", nargs="*", default=list(SOURCES), choices=list(SOURCES))
    parser.add_argument(
        "--errors",
        type=float,
        nargs="+",
        default=list(tables.ERRORS),
        help="root-mean-square errors on the sources",
    )
    parser.add_argument(
        "--efforts",
        nargs="+",
        default=["medium", "best"],
        help="efforts on the sources; the first is used on the models",
    )
    parser.add_argument(
        "--models", nargs="*", default=list(_NAMES), help=f"{', '.join(_NAMES)}, or model files"
    )
    parser.add_argument("--qp", type=int, nargs="+", help="default: -40, -36 ... -12")
    parser.add_argument("--no-check", action="store_true", help="skip validation and decoding by NNCodec")
    parser.add_argument(
        "--presets",
        nargs="*",
        default=["resnet56"],
        help="models for the tables of efforts and targets",
    )
    parser.add_argument(
        "--shared",
        type=Path,
        default=real_models.shared_folder(),
        help="folder with models/resnet56_cifar100.pt; default: $NNR_SHARED",
    )
    parser.add_argument(
        "--cache", type=Path, default=REPOSITORY / "build/curves", help="folder of unpacked packages"
    )
    parser.add_argument("--plots", type=Path, help="folder of sources.png and models.png; needs matplotlib")
    arguments = parser.parse_args()
    missing = {
        name
        for name in (*arguments.models, *arguments.presets)
        if not real_models.is_here(name, arguments.shared)
    }
    for name in sorted(missing):
        print(f"{name} is skipped: it is not in {arguments.shared}", file=sys.stderr)
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
