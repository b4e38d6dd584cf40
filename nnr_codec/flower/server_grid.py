# SPDX-License-Identifier: Apache-2.0
"""Server grid: encodes what a strategy sends, and decodes what clients reply, before aggregation."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import Error, Message, RecordDict
from flwr.serverapp import Grid

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.errors import MalformedBitstream, NnrError
from nnr_codec.flower.client_mod import CANNOT_DECODE, CHANGE_ERROR
from nnr_codec.flower.model_chain import ModelChain
from nnr_codec.flower.records import (
    UPDATE,
    Arrays,
    arrays_of,
    record_of,
    record_of_streams,
    size_bytes,
    streams_of,
)
from nnr_codec.model import Limits
from nnr_codec.updates import apply_update

_LOG = logging.getLogger("nnr_codec.flower")


@dataclass(frozen=True)
class RoundTraffic:
    """Bytes of the models exchanged by one call of `CompressedGrid.send_and_receive`.

    Attributes
    ----------
    message_type : str
    sent_bytes, received_bytes : int
        Sizes of the streams.
    sent_array_bytes, received_array_bytes : int
        Sizes of the same models as arrays.
    n_failures : int
        Replies that are errors, or were refused.
    """

    message_type: str
    sent_bytes: int
    sent_array_bytes: int
    received_bytes: int
    received_array_bytes: int
    n_failures: int


class CompressedGrid(Grid):
    """Grid that exchanges compressed models with clients that use `compression_mod`.

    A strategy starts with it in place of its grid, and aggregates ordinary arrays. Each node gets the updates since the model
    that it confirmed last; a node without it gets the whole model. A reply that cannot be decoded becomes an error, which the
    strategy counts as a failure.

    Parameters
    ----------
    grid : flwr.serverapp.Grid
    config : EncoderConfig, optional
        For updates; by default effort ``fast``.
    change_error : float
        Error of an update as a fraction of its root mean square. Error feedback adds it to the next update.
    rank : int, optional
        Rank of differences of matrices, as in `encode_update`. Twice the clients' is usual, because a mean of updates has a
        higher rank.
    first_config : EncoderConfig, optional
        For the first model. A model of random weights bears a far larger error than the default. The error of the first model is
        then never sent: strategies that average models, such as FedAvg, go on from the decoded one.

    Attributes
    ----------
    traffic : list of RoundTraffic
        One entry for each call of `send_and_receive`.
    """

    def __init__(
        self,
        grid: Grid,
        config: EncoderConfig | None = None,
        *,
        change_error: float = CHANGE_ERROR,
        rank: int | None = None,
        first_config: EncoderConfig | None = None,
    ) -> None:
        self._grid = grid
        fast = EncoderConfig(effort="fast")
        self._chain = ModelChain(config or fast, change_error, rank, first_config)
        self._confirmed: dict[int, int] = {}  # version of the model that each node has
        self.traffic: list[RoundTraffic] = []

    def set_run(self, run: Any) -> None:
        """Set the run of the grid."""
        self._grid.set_run(run)

    @property
    def run(self) -> Any:
        """Run of the grid."""
        return self._grid.run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Create a message; parameters as in Flower."""
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Return the identifiers of the nodes."""
        return self._grid.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages as they are, without compression."""
        return self._grid.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return replies as they are, without decompression."""
        return self._grid.pull_messages(message_ids)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Send models compressed, and return the replies with ordinary arrays.

        Parameters
        ----------
        messages : iterable of Message
            Messages with one array record have it compressed; others pass unchanged.
        timeout : float, optional
            Seconds.
        """
        outgoing = list(messages)
        sent = [self._compress(message) for message in outgoing]
        by_node = {message.metadata.dst_node_id: message for message in outgoing}
        replies, received, failures = [], [0, 0], 0
        for reply in self._grid.send_and_receive(outgoing, timeout=timeout):
            node = reply.metadata.src_node_id
            if not reply.has_error():
                try:
                    sizes = self._decompress(reply)
                    received = [total + size for total, size in zip(received, sizes, strict=True)]
                    self._confirmed[node] = self._chain.version
                except NnrError as error:
                    _LOG.warning("reply of node %d refused: %s", node, error)
                    reply = Message(Error(CANNOT_DECODE, str(error)), reply_to=by_node[node])
            if reply.has_error():
                failures += 1
                if reply.error.code == CANNOT_DECODE:
                    self._confirmed.pop(node, None)
            replies.append(reply)
        self._report(outgoing, sent, received, failures)
        return replies

    def _compress(self, message: Message) -> tuple[int, int]:
        records = list(message.content.array_records.items())
        if len(records) != 1:
            return 0, 0
        key, record = records[0]
        self._chain.set_model(arrays_of(record))
        streams = self._chain.streams_since(self._confirmed.get(message.metadata.dst_node_id))
        compressed = record_of_streams(streams)
        # Other messages may share the content.
        message.content = RecordDict({**message.content, key: compressed})
        return size_bytes(compressed), size_bytes(record)

    def _decompress(self, reply: Message) -> tuple[int, int]:
        n_bytes = n_array_bytes = 0
        for key, record in list(reply.content.array_records.items()):
            streams = streams_of(record)
            if streams is None:
                n_bytes += size_bytes(record)
                n_array_bytes += size_bytes(record)
                continue
            if len(streams) != 1 or streams[0][0] != UPDATE:
                raise MalformedBitstream("a reply holds one update")
            arrays = _checked(
                apply_update(
                    streams[0][1], self._chain.model, limits=self._limits, base_digest=self._chain.digest
                ),
                self._chain.model,
            )
            reply.content[key] = plain = record_of(self._chain.as_strategys(arrays))
            n_bytes += size_bytes(record)
            n_array_bytes += size_bytes(plain)
        return n_bytes, n_array_bytes

    @property
    def _limits(self) -> Limits:
        """Bounds for the updates of clients: no tensor larger than the model's, and room for the factors of products."""
        sizes = [array.size for array in self._chain.model.values()]
        return Limits(max_total_elements=2 * sum(sizes), max_tensor_elements=max(sizes, default=0))

    def _report(
        self, messages: list[Message], sent: list[tuple[int, int]], received: list[int], n_failures: int
    ) -> None:
        if not any(n_bytes for n_bytes, _ in sent):
            return
        sent_bytes, sent_array_bytes = (sum(sizes) for sizes in zip(*sent, strict=True))
        entry = RoundTraffic(
            messages[0].metadata.message_type,
            sent_bytes,
            sent_array_bytes,
            received[0],
            received[1],
            n_failures,
        )
        self.traffic.append(entry)
        total, arrays = sent_bytes + received[0], sent_array_bytes + received[1]
        _LOG.info(
            "%s: %d bytes sent, %d received, %.2f %% of the arrays", entry.message_type, sent_bytes, received[0],
            100 * total / arrays if arrays else 0.0,
        )  # fmt: skip


def _checked(arrays: Arrays, model: Arrays) -> Arrays:
    """Return the arrays of a client's model.

    Raises
    ------
    MalformedBitstream
        Names, types or shapes differ from the model's, or an element is no finite number.
    """
    if arrays.keys() != model.keys():
        raise MalformedBitstream("the update adds or removes tensors")
    for name, array in arrays.items():
        if (array.shape, array.dtype) != (model[name].shape, model[name].dtype):
            raise MalformedBitstream(f"the update changes the shape or the type of {name[:64]!r}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise MalformedBitstream(f"the update of {name[:64]!r} is not finite")
    return arrays
