# SPDX-License-Identifier: Apache-2.0
"""Deadline of a call."""

from __future__ import annotations

import time

from nnr_codec.errors import LimitExceeded
from nnr_codec.model import Limits


class Deadline:
    """Deadline ``max_seconds`` after construction.

    It is checked before every unit, and before every piece when a stream is hashed. Between checks run the decoding of one batch
    of small units or of one large unit, and the reading of one topology. ``max_unit_bytes``, ``max_tensor_elements`` and
    ``max_topology_bytes`` bound their time.
    """

    def __init__(self, limits: Limits) -> None:
        self._seconds = limits.max_seconds
        self._end = None if limits.max_seconds is None else time.monotonic() + limits.max_seconds

    def check(self, path: str, byte_offset: int = 0) -> None:
        """Raise LimitExceeded after the deadline, with the current position of the reader."""
        if self._end is not None and time.monotonic() > self._end:
            raise LimitExceeded(
                f"the call takes longer than max_seconds={self._seconds}",
                path=path,
                bit_offset=8 * byte_offset,
            )
