# SPDX-License-Identifier: Apache-2.0
"""Encoding of updates."""

from __future__ import annotations

import glob
import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, BinaryIO

from numpy.typing import ArrayLike

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.encoder import encode
from nnr_codec.codec.encode.progress import Progress
from nnr_codec.errors import QualityWarning
from nnr_codec.transform import Block
from nnr_codec.updates.differences import Comparison, Differences, compare
from nnr_codec.updates.low_rank import factor_error
from nnr_codec.updates.typed_tensors import TypedTensors, as_typed, model_digest
from nnr_codec.updates.update_description import UpdateDescription

#: Error of a difference, as a fraction of its root mean square.
CHANGE_ERROR = 0.2
# Vectors are few and sensitive, so they get this share of the error.
_SHARE_OF_VECTORS = 0.25
# Root mean square error of uniform quantisation, as a fraction of the step.
_ERROR_OF_STEP = 1 / math.sqrt(12)
_DENSITY = 2


def encode_update(
    model: TypedTensors | Mapping[str, ArrayLike],
    base: TypedTensors | Mapping[str, ArrayLike],
    config: EncoderConfig | None = None,
    *,
    file: BinaryIO | None = None,
    base_digest: bytes | None = None,
    change_error: float = CHANGE_ERROR,
    rank: int | None = None,
    kind: str = "",
    metadata: Mapping[str, str] | None = None,
    topology: bytes | None = None,
    attachments: Mapping[str, bytes] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> bytes:
    """Encode a model as differences to a base.

    Tensors that did not change take no bytes. New tensors, and those of another shape or data type, are sent whole with the
    errors of `config`. The stream names its base by digest, and `apply_update` refuses any other.

    Parameters
    ----------
    model, base : TypedTensors or mapping of str to array
        The base is the one that the receiver has: decoded, if it was sent as a stream.
    config : EncoderConfig, optional
        Options that do not set a step apply to differences too.
    file : binary file, optional
        Output file. The return value is then empty.
    base_digest : bytes, optional
        `model_digest` of the base, where it is known.
    change_error : float
        Error of each difference as a fraction of its root mean square, or of that of the typical difference if that is smaller; a
        quarter of it for vectors.
    rank : int, optional
        Send the differences of matrices as products of this rank, where that has far fewer elements. The products leave out more
        than `change_error` says; `FeedbackEncoder` adds it to the next update.
    kind, metadata, topology, attachments
        As in `nnr_codec.encode`.
    threads : int, optional
    progress : callable, optional
        As in `nnr_codec.encode`.

    Returns
    -------
    bytes

    Raises
    ------
    NotEncodable
        A tensor the format cannot hold; ``path`` names it.
    """
    model, base = as_typed(model), as_typed(base)
    comparison = compare(model, base)
    if rank is not None and rank < 1:
        raise ValueError(f"a rank is positive, unlike {rank}")
    config = config or EncoderConfig()
    sent = Differences(model, base, comparison, rank, config)
    description = UpdateDescription(
        base_digest or model_digest(base),
        frozenset(comparison.whole),
        frozenset(comparison.removed),
        () if _is_usual_order(model, base) else tuple(model),
        sent.products,
    )
    config = replace(
        config,
        qp_density=_DENSITY,
        qp_by_name=tuple(_steps(comparison, sent, change_error)),
    )
    described: dict[str, Any] = {
        "kind": kind,
        "metadata": {**(metadata or {}), **description.to_metadata()},
        "topology": topology,
        "attachments": attachments,
    }
    with warnings.catch_warnings():
        # Small rows of a difference may be lost: they stay as the base has them.
        warnings.simplefilter("ignore", QualityWarning)
        return encode(sent, config, file=file, threads=threads, progress=progress, **described)


def _steps(comparison: Comparison, sent: Differences, change_error: float) -> list[tuple[str, int]]:
    """Return the quantisation parameter of each difference by its name.

    Tensors that change more than the typical one get its step: equal errors of all weights cost fewer bits at equal quality than
    errors relative to the changes. Tensors that change less get a step of their size, because small changes can matter, too.
    """
    steps = []
    typical = _typical_scale(comparison, sent)
    for name, scale in comparison.scales.items():
        extents = [extent for extent in sent.shape_of(name) if extent > 1]
        if name in sent.products and isinstance(block := sent[name], Block):
            error = factor_error(block)
        else:
            error = min(scale, typical) * change_error * (1.0 if len(extents) > 1 else _SHARE_OF_VECTORS)
        qp = math.floor(math.log2(error / _ERROR_OF_STEP) * (1 << _DENSITY))
        steps.append((glob.escape(name), qp))
    return steps


def _typical_scale(comparison: Comparison, sent: Differences) -> float:
    """Return the geometric mean of the changes' scales, weighted by the numbers of elements."""
    sizes = {name: math.prod(sent.shape_of(name)) for name in comparison.scales}
    n_elements = sum(sizes.values()) or 1
    return math.exp(
        sum(sizes[name] * math.log(scale) for name, scale in comparison.scales.items()) / n_elements
    )


def _is_usual_order(model: TypedTensors, base: TypedTensors) -> bool:
    kept = [name for name in base if name in model]
    usual = [*kept, *(name for name in model if name not in base)]
    return usual == list(model)
