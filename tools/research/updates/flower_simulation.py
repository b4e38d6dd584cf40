# SPDX-License-Identifier: Apache-2.0
"""Shared parts of the runs in the simulation engine of Flower: options, clients, the compressed grid."""

from __future__ import annotations

import argparse
from pathlib import Path

from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

from nnr_codec import EncoderConfig
from nnr_codec.flower import CompressedGrid, compression_mod


def add_options(
    parser: argparse.ArgumentParser,
    *,
    change_error: float,
    ranks: tuple[int | None, int | None],
    first: float,
) -> None:
    """Add the options of a run, with the defaults of its compression."""
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--uncompressed", action="store_true")
    parser.add_argument("--change-error", type=float, default=change_error)
    parser.add_argument("--rank-up", type=int, default=ranks[0])
    parser.add_argument("--rank-down", type=int, default=ranks[1])
    parser.add_argument("--first", type=float, default=first, help="relative_error of the first model")
    parser.add_argument("--cache", type=Path, default=Path(".cache/datasets"))


def new_client(options: argparse.Namespace) -> ClientApp:
    """Make a client app, which compresses unless the options say otherwise."""
    mod = compression_mod(change_error=options.change_error, rank=options.rank_up)
    return ClientApp(mods=[] if options.uncompressed else [mod])


def compressed_grid(grid: Grid, options: argparse.Namespace) -> CompressedGrid:
    """Wrap a grid as the options say."""
    first = EncoderConfig(effort="fast", relative_error=options.first)
    return CompressedGrid(grid, change_error=options.change_error, rank=options.rank_down, first_config=first)


def simulate(server: ServerApp, client: ClientApp, n_clients: int) -> None:
    """Run the apps in the simulation engine, one client at a time on two cores."""
    run_simulation(
        server_app=server,
        client_app=client,
        num_supernodes=n_clients,
        backend_config={"client_resources": {"num_cpus": 2, "num_gpus": 0.0}},
    )
