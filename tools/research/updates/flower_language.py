# SPDX-License-Identifier: Apache-2.0
"""Federated training of a small language model with Flower's simulation engine and unmodified FedAvg.

``python -m tools.research.updates.flower_language`` prints the validation loss of each round, and the traffic; ``--uncompressed``
trains without this codec. It needs `flwr` with its simulation extra.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from nnr_codec import EncoderConfig
from nnr_codec.flower import CompressedGrid, compression_mod
from tools.research.updates.fashion import load_arrays
from tools.research.updates.language import LanguageModel, load_texts, split, train, validation_loss


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clients", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="of a client in a round")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--uncompressed", action="store_true")
    parser.add_argument("--change-error", type=float, default=0.9)
    parser.add_argument("--rank-up", type=int)
    parser.add_argument("--rank-down", type=int)
    parser.add_argument("--first", type=float, default=0.1, help="relative_error of the first model")
    parser.add_argument("--cache", type=Path, default=Path(".cache/datasets"))
    options = parser.parse_args()
    options.cache = options.cache.resolve()
    run_simulation(
        server_app=_server(options),
        client_app=_client(options),
        num_supernodes=options.clients,
        backend_config={"client_resources": {"num_cpus": 2, "num_gpus": 0.0}},
    )


def _client(options: argparse.Namespace) -> ClientApp:
    mod = compression_mod(change_error=options.change_error, rank=options.rank_up)
    app = ClientApp(mods=[] if options.uncompressed else [mod])

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
        first = EncoderConfig(effort="fast", relative_error=options.first)
        compressed = CompressedGrid(
            grid, change_error=options.change_error, rank=options.rank_down, first_config=first
        )

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
