# SPDX-License-Identifier: Apache-2.0
"""Compression to a quality that the user's own function measures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.importance import Importance
from nnr_codec.errors import NotEncodable
from nnr_codec.rate_control.search_report import SearchReport
from nnr_codec.rate_control.step_search import Evaluate, OnPoint, StepSearch


def compress_to_quality(
    tensors: Mapping[str, ArrayLike],
    evaluate: Evaluate,
    *,
    max_drop: float | str,
    higher_is_better: bool = True,
    importance: Mapping[str, Importance] | None = None,
    config: EncoderConfig | None = None,
    journal: str | os.PathLike[str] | None = None,
    max_evaluations: int = 60,
    max_groups: int = 16,
    on_point: OnPoint | None = None,
    **source: Any,
) -> tuple[bytes, SearchReport]:
    """Search the smallest stream whose decoded model keeps its score within a limit.

    The search has three stages: the largest step for all tensors; the sensitivity of each group of tensors, measured with
    larger steps in one group at a time, and the steps that follow from it; the Lagrangian multiplier lambda.

    Parameters
    ----------
    tensors : mapping of str to array
        All are held in memory.
    evaluate : callable
        Takes a dict of name to array and returns a score. It is called once per point. A search can only be resumed if it is
        deterministic. Report the final score on other data than those of the search, which overfits its own.
    max_drop : float or str
        Largest loss of score: a number in the unit of the score, or a percentage of the original score such as ``"0.5%"``.
    higher_is_better : bool
    importance : mapping, optional
        Weights of squared errors as in `encode`, on one scale for all tensors. They set the initial steps of tensors, and
        the levels within tensors.
    config : EncoderConfig, optional
        Configuration without steps and lambda.
    journal : path-like, optional
        File of evaluated points. A search with the same journal continues from it.
    max_evaluations : int
        Largest number of points.
    max_groups : int
        Largest number of groups whose sensitivity is measured. Neighbouring tensors share a group if there are more tensors.
    on_point : callable of (Point, SearchReport), optional
        Called after each point.
    **source
        ``kind``, ``metadata`` and ``dtypes``, as in `encode`.

    Returns
    -------
    bytes
    SearchReport

    Raises
    ------
    NotEncodable
        The score is not kept even with the finest steps of the search.
    ValueError
        `max_drop` is negative, or the journal belongs to another model.
    """
    relative = isinstance(max_drop, str) and max_drop.strip().endswith("%")
    amount = float(str(max_drop).strip().removesuffix("%")) / (100 if relative else 1)
    if not amount >= 0:
        raise ValueError(f"max_drop must not be negative: {max_drop!r}")
    search = StepSearch(
        tensors, evaluate, importance, config or EncoderConfig(), journal, max_evaluations, on_point, source
    )
    report = search.run(amount, relative, higher_is_better, max_groups)
    if report.best is None:
        raise NotEncodable(
            f"no setting tried keeps the score within {max_drop} of {report.reference_score:g}"
        )
    stream = search.coder.encode(report.best.settings)
    # The size of a point does not include the source description and the checksum.
    return stream, replace(report, best=replace(report.best, size_bytes=len(stream)))
