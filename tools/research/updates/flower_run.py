# SPDX-License-Identifier: Apache-2.0
"""Federated averaging on Fashion-MNIST with Flower's simulation engine and unmodified FedAvg.

``python -m tools.research.updates.flower_run`` prints the accuracy of each round, and the traffic. It needs `flwr`
with its simulation extra.
"""

from __future__ import annotations

import argparse
import logging

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from nnr_codec.flower import CompressedGrid
from tools.research.updates.fashion import (
    Arrays,
    evaluate,
    load_arrays,
    load_images,
    network,
    split_by_label,
    train_epoch,
)
from tools.research.updates.flower_simulation import add_options, compressed_grid, new_client, simulate


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument(
        "--share", type=float, default=0.3, help="share of its examples a client uses in a round"
    )
    parser.add_argument("--rate", type=float, default=0.02)
    add_options(parser, change_error=0.4, ranks=(12, 24), first=0.2)
    options = parser.parse_args()
    logging.getLogger("nnr_codec.flower").setLevel(logging.INFO)
    options.cache = options.cache.resolve()
    simulate(_server(options), _client(options), options.clients)


def _client(options: argparse.Namespace) -> ClientApp:
    app = new_client(options)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        torch.set_num_threads(1)
        round_number = int(str(message.content.config_records["config"]["server-round"]))
        partition = int(context.node_config["partition-id"])
        images = load_images(options.cache)
        parts = split_by_label(images.train[1], options.clients, 0.5, np.random.default_rng(options.seed))
        random = np.random.default_rng((options.seed, partition, round_number))
        chosen = random.permutation(parts[partition])[: round(len(parts[partition]) * options.share)]
        net = network()
        load_arrays(net, _arrays(message.content.array_records["arrays"]))
        train_epoch(net, torch.optim.SGD(net.parameters(), options.rate, momentum=0.9), images.train, chosen)
        content: dict[str, ArrayRecord | MetricRecord | ConfigRecord] = {
            "arrays": ArrayRecord(net.state_dict()),
            "metrics": MetricRecord({"num-examples": len(chosen)}),
        }
        return Message(RecordDict(content), reply_to=message)

    return app


def _server(options: argparse.Namespace) -> ServerApp:
    app = ServerApp()

    @app.main()
    def run(grid: Grid, context: Context) -> None:
        del context
        torch.set_num_threads(1)
        torch.manual_seed(options.seed)
        images, net = load_images(options.cache), network()

        def evaluated(round_number: int, arrays: ArrayRecord) -> MetricRecord:
            load_arrays(net, _arrays(arrays))
            accuracy, loss = evaluate(net, images.test)
            print(f"round {round_number}: accuracy {accuracy:.2f} %, loss {loss:.4f}", flush=True)
            return MetricRecord({"accuracy": accuracy})

        compressed = compressed_grid(grid, options)
        used = grid if options.uncompressed else compressed
        FedAvg(fraction_evaluate=0.0, min_available_nodes=options.clients).start(
            used,
            ArrayRecord(net.state_dict()),
            num_rounds=options.rounds,
            train_config=ConfigRecord({}),
            evaluate_fn=evaluated,
        )
        if isinstance(used, CompressedGrid):
            exchanges = used.traffic
            n_bytes = sum(entry.sent_bytes + entry.received_bytes for entry in exchanges)
            n_array_bytes = sum(entry.sent_array_bytes + entry.received_array_bytes for entry in exchanges)
            n_failures = sum(entry.n_failures for entry in exchanges)
            print(f"{n_bytes} bytes, {n_bytes / n_array_bytes:.2%} of the arrays, {n_failures} failures")

    return app


def _arrays(record: ArrayRecord) -> Arrays:
    return {name: array.numpy() for name, array in record.items()}


if __name__ == "__main__":
    main()
