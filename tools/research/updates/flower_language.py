# SPDX-License-Identifier: Apache-2.0
"""Federated training of a small language model with Flower's simulation engine and unmodified FedAvg.

``python -m tools.research.updates.flower_language`` prints the validation loss of each round, and the traffic; ``--uncompressed``
trains without this codec. It needs `flwr` with its simulation extra.
"""

from __future__ import annotations

import argparse

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from tools.research.updates.fashion import load_arrays
from tools.research.updates.flower_simulation import add_options, compressed_grid, new_client, simulate
from tools.research.updates.language import LanguageModel, load_texts, split, train, validation_loss


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clients", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="of a client in a round")
    parser.add_argument("--rate", type=float, default=2e-3)
    add_options(parser, change_error=0.9, ranks=(None, None), first=0.1)
    options = parser.parse_args()
    options.cache = options.cache.resolve()
    simulate(_server(options), _client(options), options.clients)


def _client(options: argparse.Namespace) -> ClientApp:
    app = new_client(options)

    @app.train()
    def train_client(message: Message, context: Context) -> Message:
        torch.set_num_threads(1)
        round_number = int(str(message.content.config_records["config"]["server-round"]))
        partition = int(context.node_config["partition-id"])
        text = split(load_texts(options.cache, options.clients)[partition])[0]
        net = LanguageModel()
        _load(net, message.content.array_records["arrays"])
        train(net, text, options.steps, options.rate, (options.seed, partition, round_number))
        content: dict[str, ArrayRecord | MetricRecord | ConfigRecord] = {
            "arrays": ArrayRecord(net.state_dict()),
            "metrics": MetricRecord({"num-examples": len(text)}),
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
        texts, net = load_texts(options.cache, options.clients), LanguageModel()
        size = sum(tensor.nbytes for tensor in net.state_dict().values())
        compressed = compressed_grid(grid, options)

        def evaluated(round_number: int, arrays: ArrayRecord) -> MetricRecord:
            _load(net, arrays)
            loss = validation_loss(net, texts)
            sent = [(t.sent_bytes, t.received_bytes) for t in compressed.traffic[-1:]]
            print(f"round {round_number}: {loss:.3f} bits a character, bytes down and up {sent}", flush=True)
            return MetricRecord({"loss": loss})

        FedAvg(fraction_evaluate=0.0, min_available_nodes=options.clients).start(
            grid if options.uncompressed else compressed,
            ArrayRecord(net.state_dict()),
            num_rounds=options.rounds,
            train_config=ConfigRecord({}),
            evaluate_fn=evaluated,
        )
        n_array_bytes = 2 * options.rounds * options.clients * size
        n_bytes = (
            sum(entry.sent_bytes + entry.received_bytes for entry in compressed.traffic) or n_array_bytes
        )
        n_failures = sum(entry.n_failures for entry in compressed.traffic)
        print(
            f"{size // 4} weights, {n_bytes} bytes, {n_bytes / n_array_bytes:.2%} of float32, {n_failures} failures"
        )

    return app


def _load(net: LanguageModel, record: ArrayRecord) -> None:
    load_arrays(net, {name: array.numpy() for name, array in record.items()})


if __name__ == "__main__":
    main()
