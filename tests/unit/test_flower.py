# SPDX-License-Identifier: Apache-2.0
"""Federated learning with Flower's own messages and strategy, and nodes in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAdam, FedAvg, FedAvgM
from flwr.supercore.task_identity import TaskIdentity
from numpy.typing import NDArray

from nnr_codec import EncoderConfig
from nnr_codec.flower import CompressedGrid, compression_mod
from nnr_codec.flower.records import UPDATE, arrays_of, record_of, record_of_streams
from nnr_codec.updates import encode_update

Arrays = dict[str, NDArray[Any]]
# The targets are dense noise and differ between nodes, which is harder than gradients of a network.
CHANGE_ERROR = 0.3
TARGETS = {
    node: np.random.default_rng(node).standard_normal((40, 30)).astype(np.float32) for node in range(1, 5)
}


def train(message: Message, context: Context) -> Message:
    """Move the model a tenth of the way to the target of the node."""
    (record,) = message.content.array_records.values()
    arrays = arrays_of(record)
    arrays["w"] = arrays["w"] + (TARGETS[context.node_id] - arrays["w"]) / 10
    content = RecordDict({"arrays": record_of(arrays), "metrics": MetricRecord({"num-examples": 1})})
    return Message(content, reply_to=message)


class Nodes(Grid):
    """Grid of nodes in this process. `drop` tells the replies that are lost; `spoil` changes replies."""

    def __init__(self, mod: Any) -> None:
        self.mod = mod
        self.contexts = {node: Context(1, node, {}, RecordDict(), {}) for node in TARGETS}
        self.drop: Callable[[int, int], bool] = lambda n_call, node: False
        self.spoil: Callable[[Message], None] = lambda message: None
        self.wire_bytes: list[int] = []
        self.calls = 0

    run = property(lambda self: None)

    def set_run(self, run: Any) -> None:
        del run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        return list(TARGETS)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        del timeout
        self.calls += 1
        replies = []
        for message in messages:
            node = message.metadata.dst_node_id
            self.wire_bytes.append(
                sum(len(a.data) for r in message.content.array_records.values() for a in r.values())
            )
            reply = self.mod(message, self.contexts[node], train)
            reply.metadata._src_node_id = node  # a real grid sets it
            self.spoil(reply)
            if not self.drop(self.calls, node):
                replies.append(reply)
        return replies


def federated(grid: Grid, rounds: int) -> Arrays:
    """Return the model after some rounds of FedAvg."""
    strategy = FedAvg(fraction_train=1.0, fraction_evaluate=0.0, min_available_nodes=1, min_train_nodes=1)
    initial = ArrayRecord(
        {"w": Array(np.zeros((40, 30), np.float32)), "steps": Array(np.arange(3, dtype=np.float32))}
    )
    return arrays_of(strategy.start(grid, initial, num_rounds=rounds).arrays)


def distance(arrays: Arrays) -> float:
    """Return the distance of a model to the mean of the targets, over its size."""
    mean = np.mean(list(TARGETS.values()), axis=0)
    return float(np.linalg.norm(arrays["w"] - mean) / np.linalg.norm(mean))


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Nodes:
    # Flower's runtime sets the identity of the process that makes messages.
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)
    return Nodes(compression_mod(change_error=CHANGE_ERROR))


def test_fedavg_reaches_the_model_of_uncompressed_training(nodes: Nodes) -> None:
    grid = CompressedGrid(nodes, change_error=CHANGE_ERROR)

    assert distance(federated(grid, 50)) < 0.15
    assert len(grid.traffic) == 50
    later = grid.traffic[5:]
    assert sum(t.sent_bytes + t.received_bytes for t in later) < 0.1 * sum(
        t.sent_array_bytes + t.received_array_bytes for t in later
    )


def test_products_reach_the_model_with_fewer_bytes(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    for node, target in TARGETS.items():
        monkeypatch.setitem(TARGETS, node, target[:, :2] @ target[:2])
    grid = CompressedGrid(nodes, change_error=CHANGE_ERROR)
    federated(grid, 10)
    nodes.mod = compression_mod(change_error=CHANGE_ERROR, rank=4)
    nodes.contexts = {node: Context(1, node, {}, RecordDict(), {}) for node in TARGETS}
    of_rank = CompressedGrid(
        nodes, change_error=CHANGE_ERROR, rank=4, first_config=EncoderConfig(relative_error=0.1)
    )

    # The mean of the targets has twice the rank of an update.
    assert distance(federated(of_rank, 50)) < 0.3
    assert sum(entry.n_failures for entry in of_rank.traffic) == 0
    assert of_rank.traffic[5].received_bytes < 0.7 * grid.traffic[5].received_bytes


def test_the_mod_passes_ordinary_messages(nodes: Nodes) -> None:
    assert distance(federated(nodes, 50)) < 0.01


def test_a_lost_reply_or_round_is_made_up_for(nodes: Nodes) -> None:
    nodes.drop = lambda call, node: (call in (3, 5) and node == 2) or call == 9
    grid = CompressedGrid(nodes, change_error=CHANGE_ERROR)

    assert distance(federated(grid, 50)) < 0.15


def test_a_node_that_lost_its_state_gets_the_whole_model(nodes: Nodes) -> None:
    def lose(call: int, node: int) -> bool:
        if call == 5 and node == 3:
            nodes.contexts[3].state.clear()
        return False

    nodes.drop = lose
    grid = CompressedGrid(nodes, change_error=CHANGE_ERROR)

    assert distance(federated(grid, 50)) < 0.15
    assert sum(entry.n_failures for entry in grid.traffic) == 1


@pytest.mark.parametrize("kind", ["damaged", "foreign", "foreign names", "infinite", "whole", "repeated"])
def test_a_malicious_reply_is_a_failure_and_changes_nothing(nodes: Nodes, kind: str) -> None:
    sent: list[ArrayRecord] = []

    def spoil(reply: Message) -> None:
        if reply.metadata.src_node_id != 2 or reply.has_error():
            return
        record = reply.content.array_records["arrays"]
        sent.append(record)
        if nodes.calls != 5:
            return
        (array,) = record.values()
        base = arrays_of(nodes.contexts[2].state.array_records["nnr_codec.model"])
        stream = {
            "damaged": array.data[:40] + bytes([array.data[40] ^ 0xFF]) + array.data[41:],
            "foreign": encode_update({"w": base["w"]}, {"w": base["w"] + 1}),
            "foreign names": encode_update({**base, "x": base["w"]}, base),
            "infinite": encode_update({**base, "w": np.full_like(base["w"], np.inf)}, base),
            "whole": encode_update({**base, "w": base["w"].reshape(30, 40)}, base),
            "repeated": next(iter(sent[0].values())).data,
        }[kind]
        reply.content["arrays"] = record_of_streams([(UPDATE, stream)])

    nodes.spoil = spoil
    grid = CompressedGrid(nodes, change_error=CHANGE_ERROR)

    assert distance(federated(grid, 50)) < 0.15
    assert sum(entry.n_failures for entry in grid.traffic) == 1


def test_no_pickle_and_no_file_is_used(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.open", lambda *args, **kwargs: pytest.fail("a file is opened"))
    monkeypatch.setattr("pickle.loads", lambda *args: pytest.fail("a pickle is read"))

    federated(CompressedGrid(nodes, change_error=CHANGE_ERROR), 2)


@pytest.mark.parametrize(
    ("strategy", "options"), [(FedAvg, {}), (FedAvgM, {"server_momentum": 0.9}), (FedAdam, {"eta": 0.1})]
)
def test_no_strategy_takes_errors_of_quantisation_for_training(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch, strategy: Any, options: dict[str, float]
) -> None:
    def idle(message: Message, context: Context) -> Message:
        del context
        (record,) = message.content.array_records.values()
        content = {"arrays": record_of(arrays_of(record)), "metrics": MetricRecord({"num-examples": 1})}
        return Message(RecordDict(content), reply_to=message)

    monkeypatch.setitem(globals(), "train", idle)
    first = TARGETS[1]
    start = strategy(
        fraction_train=1.0, fraction_evaluate=0.0, min_available_nodes=1, min_train_nodes=1, **options
    ).start
    last = arrays_of(start(CompressedGrid(nodes), ArrayRecord({"w": Array(first)}), num_rounds=5).arrays)["w"]
    assert np.allclose(last, first, rtol=0, atol=1e-5)


def test_counters_and_scalars_travel_in_their_types(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    def count(message: Message, context: Context) -> Message:
        (record,) = message.content.array_records.values()
        arrays = arrays_of(record)
        assert (arrays["batches"].dtype, arrays["scale"].dtype) == (np.int64, np.float32)
        arrays["w"] = arrays["w"] + (TARGETS[context.node_id] - arrays["w"]) / 10
        arrays = {
            **arrays,
            "batches": arrays["batches"] + 3,
            "scale": np.asarray(arrays["scale"] + np.float32(0.1)),
        }
        content = {"arrays": record_of(arrays), "metrics": MetricRecord({"num-examples": 1})}
        return Message(RecordDict(content), reply_to=message)

    monkeypatch.setitem(globals(), "train", count)
    grid = CompressedGrid(nodes, change_error=CHANGE_ERROR, first_config=EncoderConfig(relative_error=0.5))
    arrays = {"w": np.zeros((40, 30), np.float32), "batches": np.array([0]), "scale": np.array(1, np.float32)}
    strategy = FedAvg(fraction_train=1.0, fraction_evaluate=0.0, min_available_nodes=1, min_train_nodes=1)
    last = arrays_of(strategy.start(grid, record_of(arrays), num_rounds=30).arrays)
    assert last["batches"] == 90
    assert last["scale"] == pytest.approx(4, abs=0.05)
    assert distance(last) < 0.15
    assert sum(entry.n_failures for entry in grid.traffic) == 0
    assert max(entry.sent_bytes for entry in grid.traffic[1:]) < grid.traffic[1].sent_array_bytes / 4


def test_records_of_the_same_names_have_residuals_of_their_own(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reply_twice(message: Message, context: Context) -> Message:
        reply = train(message, context)
        other = {name: array + 5 for name, array in arrays_of(reply.content.array_records["arrays"]).items()}
        reply.content["other"] = record_of(other)
        return reply

    mod, models = nodes.mod, []
    for app in (train, reply_twice):
        nodes.contexts[1].state.clear()
        nodes.mod = lambda message, context, _, app=app: mod(message, context, app)
        grid = CompressedGrid(nodes, change_error=CHANGE_ERROR)
        model = {"w": np.zeros((40, 30), np.float32)}
        for _ in range(4):
            (reply,) = grid.send_and_receive([Message(RecordDict({"arrays": record_of(model)}), 1, "train")])
            model = arrays_of(reply.content.array_records["arrays"])
        models.append(model["w"])
    assert np.array_equal(*models)
