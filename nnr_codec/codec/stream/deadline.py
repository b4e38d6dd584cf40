# SPDX-License-Identifier: Apache-2.0
"""The time that a caller allows."""

from __future__ import annotations

import time

from nnr_codec.errors import LimitExceeded
from nnr_codec.model import Limits


class Deadline:
    """Ends a call that takes longer than ``max_seconds``, counted from here.

    It is looked at before every unit, and where a stream is hashed before every piece. What runs without a look is the
    decoding of one batch of small units or of one large unit's codeword, and the reading of one topology: ``max_unit_bytes``,
    ``max_tensor_elements`` and ``max_topology_bytes`` bound that.
    """

    def __init__(self, limits: Limits) -> None:
        self._seconds = limits.max_seconds
        self._end = None if limits.max_seconds is None else time.monotonic() + limits.max_seconds

    def check(self, path: str, byte_offset: int = 0) -> None:
        """Raise LimitExceeded when the time is over; the place is where reading had come to."""
        if self._end is not None and time.monotonic() > self._end:
            raise LimitExceeded(
                f"max_seconds, which is {self._seconds}, are over", path=path, bit_offset=8 * byte_offset
            )
