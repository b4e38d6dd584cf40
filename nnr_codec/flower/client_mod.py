# SPDX-License-Identifier: Apache-2.0
"""Client mod: decodes what the server sends, and encodes what the app replies."""

from __future__ import annotations

from collections.abc import Callable

from flwr.app import ArrayRecord, Context, Error, Message

from nnr_codec.codec.decode.decoder import Decoder
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.errors import MalformedBitstream, NnrError
from nnr_codec.flower.records import (
    MODEL,
    UPDATE,
    Arrays,
    arrays_of,
    record_of,
    record_of_streams,
    streams_of,
)
from nnr_codec.model import Limits
from nnr_codec.updates import ArrayTensors, FeedbackEncoder, apply_update, model_digest
from nnr_codec.updates.apply_update import DecodedUpdate
from nnr_codec.updates.update_description import UpdateDescription

#: Errors of one update, as a fraction of its root mean square. Later updates send what this one left out.
CHANGE_ERROR = 0.9
#: Code of the error with which a client answers a stream that it cannot decode.
CANNOT_DECODE = 1015

_MODEL = "nnr_codec.model"
_RESIDUALS = "nnr_codec.residuals"

App = Callable[[Message, Context], Message]
Mod = Callable[[Message, Context, App], Message]


def compression_mod(
    config: EncoderConfig | None = None,
    *,
    change_error: float = CHANGE_ERROR,
    rank: int | None = None,
    limits: Limits | None = None,
) -> Mod:
    """Return a mod that exchanges compressed models with a server that uses `CompressedGrid`.

    The model of the last message and the residuals of error feedback stay in the state of the node's context. Messages with
    ordinary arrays pass unchanged. A stream that cannot be decoded, such as an update after the state was lost, is answered by
    an error, after which the server sends the whole model.

    Parameters
    ----------
    config : EncoderConfig, optional
        By default effort ``fast``.
    change_error : float
        Error of an update as a fraction of its root mean square. Error feedback adds it to the next update.
    rank : int, optional
        Rank of differences of matrices, as in `encode_update`.
    limits : Limits, optional
        Bounds on the cost of a stream.

    Returns
    -------
    callable of (Message, Context, callable)
        A mod for ``ClientApp(mods=[...])``; it comes last, next to the app.
    """
    config = config or EncoderConfig(effort="fast")

    def mod(message: Message, context: Context, call_next: App) -> Message:
        models: dict[str, Arrays] = {}
        for key, record in list(message.content.array_records.items()):
            streams = streams_of(record)
            if streams is None:
                continue
            try:
                models[key] = _received(streams, _stored(context, _MODEL), limits)
            except NnrError as error:
                return Message(Error(CANNOT_DECODE, str(error)), reply_to=message)
            context.state[_MODEL] = message.content[key] = record_of(models[key])
        reply = call_next(message, context)
        if models and not reply.has_error():
            encoder = FeedbackEncoder(config, change_error=change_error, rank=rank)
            _compress(reply, next(iter(models.values())), context, encoder)
        return reply

    return mod


def _received(streams: list[tuple[str, bytes]], model: Arrays | None, limits: Limits | None) -> Arrays:
    """Decode a chain of streams. Updates before the one that continues the node's model are skipped."""
    digest = None if model is None else model_digest(ArrayTensors(model))
    for index, (stype, stream) in enumerate(streams):
        if stype == UPDATE and digest is not None and _base_of(stream, limits) == digest:
            streams = streams[index:]
            break
    else:
        if streams[0][0] != MODEL:
            raise MalformedBitstream("the update is for another model than the node's last one")
    for stype, stream in streams:
        if stype == MODEL:
            model = Decoder(limits=limits).decode(stream)
        elif model is not None:
            model = apply_update(stream, model, limits=limits)
    if model is None:
        raise MalformedBitstream("the message holds no model")
    return model


def _base_of(stream: bytes, limits: Limits | None) -> bytes | None:
    description = UpdateDescription.from_metadata(DecodedUpdate(stream, limits).metadata)
    return None if description is None else description.base


def _compress(reply: Message, model: Arrays, context: Context, encoder: FeedbackEncoder) -> None:
    """Replace the records that hold a new state of the model by updates of it."""
    for key, record in list(reply.content.array_records.items()):
        arrays = arrays_of(record)
        if not _is_state_of(arrays, model):
            continue
        residuals = f"{_RESIDUALS}.{key}"
        encoder.residuals = _stored(context, residuals) or {}
        stream, _ = encoder.encode(arrays, model)
        context.state[residuals] = record_of(encoder.residuals)
        reply.content[key] = record_of_streams([(UPDATE, stream)])


def _is_state_of(arrays: Arrays, model: Arrays) -> bool:
    return arrays.keys() == model.keys() and all(
        (array.shape, array.dtype) == (model[name].shape, model[name].dtype) for name, array in arrays.items()
    )


def _stored(context: Context, key: str) -> Arrays | None:
    record = context.state.get(key)
    return arrays_of(record) if isinstance(record, ArrayRecord) else None
